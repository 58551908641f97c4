//! Holds the code map in docs/ARCHITECTURE.md to the sources: each module once, and nothing else.
//!
//! The map is every fenced block marked `modules`; a line is a module and what it decides. A
//! module is named by its file without the ending, `mod.rs` by its folder; modules of one folder
//! may share a line, as in `folder/{one,two}`. Files that hold only tests (`tests.rs`, or below
//! `tests/`) are no modules.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{Finding, Tree};

const DOCUMENT: &str = "docs/ARCHITECTURE.md";
const CRATES: [&str; 3] = ["protocol/src/", "storage/src/", "node/src/"];
const FENCE: &str = "```modules";

/// Every module the map lacks, and every line of the map that is wrong.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.text(DOCUMENT) else {
        return vec![Finding::of(DOCUMENT, "is missing")];
    };
    let modules: BTreeSet<String> = tree.rust().filter_map(|source| module(&source.path)).collect();
    let mut found = Vec::new();
    let mut named = BTreeMap::new();
    for (line, name, about) in lines(text) {
        if !modules.contains(&name) {
            found.push(Finding::at(DOCUMENT, line, format!("names `{name}`, which does not exist")));
        }
        if about.split_whitespace().count() < 2 {
            found.push(Finding::at(DOCUMENT, line, format!("does not say what `{name}` is for")));
        }
        if let Some(before) = named.insert(name.clone(), line) {
            found.push(Finding::at(DOCUMENT, line, format!("names `{name}` again, after line {before}")));
        }
    }
    let missing = modules.iter().filter(|module| !named.contains_key(*module));
    found.extend(missing.map(|module| {
        Finding::of(DOCUMENT, format!("does not name `{module}`: add a line to its block of modules"))
    }));
    found
}

/// The module's name in the map, or `None` for what is no module of the three crates.
fn module(path: &str) -> Option<String> {
    let of_a_crate = CRATES.iter().any(|start| path.starts_with(start));
    let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
    let name = path.strip_suffix(".rs")?;
    (of_a_crate && !is_test).then(|| name.strip_suffix("/mod").unwrap_or(name).to_owned())
}

/// Line number, name and explanation of every module named in the fenced blocks.
fn lines(text: &str) -> Vec<(usize, String, &str)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            inside = line.trim_end() == FENCE;
        } else if inside && !line.trim().is_empty() {
            let (name, about) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
            found.extend(names(name).into_iter().map(|name| (number + 1, name, about)));
        }
    }
    found
}

/// The modules that a name with braces stands for.
fn names(name: &str) -> Vec<String> {
    let grouped = name.split_once('{').and_then(|(folder, rest)| Some((folder, rest.strip_suffix('}')?)));
    match grouped {
        Some((folder, names)) => names.split(',').map(|name| format!("{folder}{name}")).collect(),
        None => vec![name.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(map: &str) -> Vec<String> {
        let tree = Tree::of("protocol/src/ids.rs", "")
            .with("protocol/src/roster/mod.rs", "")
            .with("protocol/src/roster/tests.rs", "")
            .with("tests/harness/cluster.rs", "")
            .with(DOCUMENT, map);
        check(&tree).iter().map(Finding::to_string).collect()
    }

    const GOOD: &str = "# Map\n```modules\nprotocol/src/ids     names of things\n\
                        protocol/src/roster  who is in\n```\nprotocol/src/none is prose\n";

    #[test]
    fn a_map_of_all_modules_passes() {
        assert_eq!(findings(GOOD), [""; 0]);
    }

    #[test]
    fn a_module_that_is_not_in_the_map_is_found() {
        let found = findings(&GOOD.replace("protocol/src/roster  who is in\n", ""));
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("does not name `protocol/src/roster`"), "{found:?}");
        assert_eq!(findings("").len(), 2);
    }

    #[test]
    fn a_line_of_the_map_without_a_module_or_without_words_is_found() {
        let found = findings(&GOOD.replace("```\n", "protocol/src/old is gone\n```\n"));
        assert!(found[0].contains("`protocol/src/old`, which does not exist"), "{found:?}");
        assert_eq!(findings(&GOOD.replace("  who is in", "")).len(), 1);
    }

    #[test]
    fn a_module_is_named_once() {
        let again = "protocol/src/ids named twice\nprotocol/src/roster ";
        let found = findings(&GOOD.replace("protocol/src/roster ", again));
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("again"), "{found:?}");
    }

    #[test]
    fn a_missing_document_is_found() {
        assert_eq!(check(&Tree::of("protocol/src/ids.rs", "")).len(), 1);
    }

    #[test]
    fn modules_of_one_folder_may_share_a_line() {
        assert_eq!(names("a/{b,c}"), ["a/b", "a/c"]);
        assert_eq!(names("a/b"), ["a/b"]);
    }
}
