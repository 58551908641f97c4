//! Holds the table of limits in docs/PROTOCOL.md, and the tests, to `protocol/src/limits.rs`.
//!
//! A limit belongs to the wire format if the section comment above it says so; each such limit
//! has one row with its name and its value, and no row is without its limit. Every limit at all
//! is named by a test: a bound that nothing runs into is a hope.

use std::collections::BTreeMap;

use crate::tree::{Finding, Tree};

const SOURCE: &str = "protocol/src/limits.rs";
const DOCUMENT: &str = "docs/PROTOCOL.md";
const SECTION: &str = "// -- ";
const WIRE: &str = "part of the wire format";

/// Every difference between the constants and the table.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let (Some(source), Some(document)) = (tree.text(SOURCE), tree.text(DOCUMENT)) else {
        return vec![Finding::of(DOCUMENT, format!("this or {SOURCE} is missing"))];
    };
    let limits = match constants(source) {
        Ok(limits) => limits,
        Err(fault) => return vec![Finding::of(SOURCE, fault)],
    };
    let mut rows = rows(document);
    let mut found = Vec::new();
    for (name, value) in limits {
        match rows.remove(name.as_str()) {
            None => found.push(Finding::of(DOCUMENT, format!("add a row `{name}` | {}", grouped(value)))),
            Some((line, shown)) if shown != grouped(value) => {
                let what = format!("`{name}` is {}, not {shown}", grouped(value));
                found.push(Finding::at(DOCUMENT, line, what));
            }
            Some(_) => {}
        }
    }
    let left = rows.into_iter().map(|(name, (line, _))| {
        Finding::at(DOCUMENT, line, format!("`{name}` is no limit of the wire format"))
    });
    found.extend(left);
    found
}

/// Every limit that no test names.
pub(crate) fn check_tests(tree: &Tree) -> Vec<Finding> {
    let Some(source) = tree.text(SOURCE) else {
        return vec![Finding::of(SOURCE, "it is missing".to_owned())];
    };
    let names = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    let untested = names.filter(|name| {
        let named =
            |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|w| w == *name);
        !tree.rust().any(|file| named(tests_of(&file.path, &file.text)))
    });
    untested.map(|name| Finding::of(SOURCE, format!("no test names `{name}`"))).collect()
}

/// The part of a file that is tests: all of it in a place for tests, else what is compiled for
/// tests alone.
fn tests_of<'t>(path: &str, text: &'t str) -> &'t str {
    if path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs") {
        return text;
    }
    text.find("#[cfg(test)]").and_then(|at| text.get(at..)).unwrap_or_default()
}

/// Name and value of each constant in a section of the wire format.
fn constants(source: &str) -> Result<Vec<(String, u64)>, String> {
    let mut wire = false;
    let mut found = Vec::new();
    let mut statement = String::new();
    for line in source.lines() {
        if line.starts_with(SECTION) {
            wire = line.contains(WIRE);
        }
        if line.starts_with("pub const ") || !statement.is_empty() {
            statement.push_str(line);
            statement.push('\n');
        }
        if !statement.is_empty() && line.ends_with(';') {
            let item: syn::ItemConst = syn::parse_str(&statement).map_err(|fault| fault.to_string())?;
            let value = value(&item.expr).ok_or(format!("`{}` is no product of numbers", item.ident))?;
            if wire {
                found.push((item.ident.to_string(), value));
            }
            statement.clear();
        }
    }
    Ok(found)
}

/// The value of a number or a product of numbers.
fn value(expression: &syn::Expr) -> Option<u64> {
    match expression {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(number), .. }) => number.base10_parse().ok(),
        syn::Expr::Binary(syn::ExprBinary { left, op: syn::BinOp::Mul(_), right, .. }) => {
            value(left)?.checked_mul(value(right)?)
        }
        _ => None,
    }
}

/// Line and value of each table row whose first cell is a constant's name.
fn rows(document: &str) -> BTreeMap<&str, (usize, &str)> {
    let rows = document.lines().enumerate().filter_map(|(number, line)| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        let name = cells.next()?.strip_suffix('`')?;
        let is_constant = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        is_constant.then_some((name, (number + 1, cells.next()?)))
    });
    rows.collect()
}

/// A number with commas, as people read it.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: &str = "// -- signed things (part of the wire format) ----\n\n/// Bytes.\n\
                          pub const A_MAX: usize = 256 * 1024;\npub const B_MAX: u32 =\n    1_000;\n\
                          // -- what one node keeps ----\npub const C_MAX: usize = 7;\n";
    const TABLE: &str =
        "| Limit | Value |\n|---|---|\n| `A_MAX` | 262,144 | bytes |\n| `B_MAX` | 1,000 | uses |\n";

    fn findings(limits: &str, table: &str) -> usize {
        check(&Tree::of(SOURCE, limits).with(DOCUMENT, table)).len()
    }

    #[test]
    fn a_table_of_all_wire_limits_passes() {
        assert_eq!(findings(LIMITS, TABLE), 0);
    }

    #[test]
    fn a_wrong_value_a_missing_row_and_a_stray_row_are_found() {
        assert_eq!(findings(LIMITS, &TABLE.replace("262,144", "262,145")), 1);
        assert_eq!(findings(LIMITS, &TABLE.replace("| `B_MAX` | 1,000 | uses |\n", "")), 1);
        assert_eq!(findings(LIMITS, &format!("{TABLE}| `C_MAX` | 7 | not agreed on |\n")), 1);
        assert_eq!(findings(&LIMITS.replace("1_000", "1_001"), TABLE), 1);
    }

    #[test]
    fn a_limit_that_no_test_names_is_found() {
        let tested = "const A: usize = A_MAX;\n#[cfg(test)]\nmod tests { const B: usize = B_MAX + C_MAX; }";
        let tree = Tree::of(SOURCE, LIMITS).with("storage/src/a.rs", tested);
        assert_eq!(check_tests(&tree).len(), 1);
        assert_eq!(check_tests(&tree.with("storage/tests/a.rs", "A_MAX")).len(), 0);
    }

    #[test]
    fn a_value_that_cannot_be_read_is_found() {
        assert_eq!(findings(&LIMITS.replace("256 * 1024", "OTHER"), TABLE), 1);
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!(
            ["7", "1,000", "1,000,000"],
            [7, 1000, 1_000_000].map(grouped).each_ref().map(String::as_str)
        );
    }
}
