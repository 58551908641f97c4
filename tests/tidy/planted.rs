//! Holds planted bugs to one hook each where a rule is enforced, and to one row that catches it.
//!
//! A bug without a hook proves nothing, one with two breaks more than its rule, and one that no
//! test looks for is dead weight in the product's sources.

use crate::tree::{Finding, Tree};

const BUGS: &str = "protocol/src/planted.rs";
const PRODUCT: [&str; 3] = ["protocol/src/", "storage/src/", "node/src/"];
const TESTS: &str = "tests/planted/";

/// Every bug that has not exactly one hook and one row.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(bugs) = tree.text(BUGS).and_then(bugs) else {
        return vec![Finding::of(BUGS, "it has no enum `Planted`")];
    };
    let in_product = |path: &str| path != BUGS && PRODUCT.iter().any(|folder| path.starts_with(folder));
    let mut found = Vec::new();
    for bug in bugs {
        let name = format!("Planted::{bug}");
        for (what, count) in [
            ("hook in the product", count(tree, &name, in_product)),
            ("row in tests/planted", count(tree, &name, |path| path.starts_with(TESTS))),
        ] {
            if count != 1 {
                found.push(Finding::of(BUGS, format!("`{bug}` has {count} times a {what}, not once")));
            }
        }
    }
    found
}

fn bugs(source: &str) -> Option<Vec<String>> {
    let items = syn::parse_file(source).ok()?.items;
    let variants = items.into_iter().find_map(|item| match item {
        syn::Item::Enum(item) if item.ident == "Planted" => Some(item.variants),
        _ => None,
    })?;
    Some(variants.into_iter().map(|variant| variant.ident.to_string()).collect())
}

/// How often a name stands in these sources.
fn count(tree: &Tree, name: &str, wanted: impl Fn(&str) -> bool) -> usize {
    let is_whole = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let texts = tree.rust().filter(|source| wanted(&source.path)).map(|source| source.text.as_str());
    texts.map(|text| text.split(name).skip(1).filter(|rest| is_whole(rest)).count()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENUM: &str = "pub enum Planted { /// One.\n A = 1, /// Another.\n AndMore }";

    fn findings(product: &str, tests: &str) -> usize {
        let tree = Tree::of(BUGS, ENUM).with("node/src/a.rs", product).with("tests/planted/main.rs", tests);
        check(&tree).len()
    }

    #[test]
    fn each_bug_has_one_hook_and_one_row() {
        let both = "(Planted::A, Planted::AndMore)";
        assert_eq!(findings(both, both), 0);
        assert_eq!(findings("Planted::A", both), 1, "no hook");
        assert_eq!(findings(both, "Planted::AndMore"), 1, "no row");
        assert_eq!(findings(&format!("{both} Planted::A"), both), 1, "two hooks");
        assert_eq!(check(&Tree::of("protocol/src/a.rs", ENUM)).len(), 1, "no bugs at all");
    }
}
