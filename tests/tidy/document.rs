//! Holds the claims of docs/SECURITY.md to tests that exist.
//!
//! The last cell of each table row names the tests that show the row, or says `not yet`. A name is
//! what stands between backticks; it is a test if some source has a function of that name.

use std::collections::BTreeSet;

use crate::paths;
use crate::tree::{Finding, Tree};

const DOCUMENT: &str = "docs/SECURITY.md";
const NONE: &str = "not yet";
const HEADING: &str = "Shown by";

/// Every row whose last cell names no test or one that does not exist.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.text(DOCUMENT) else {
        return vec![Finding::of(DOCUMENT, "is missing")];
    };
    let names: BTreeSet<String> = tree.rust().flat_map(|source| functions(&source.text)).collect();
    let cells = cells(text);
    if cells.is_empty() {
        return vec![Finding::of(DOCUMENT, format!("has no table with a column `{HEADING}`"))];
    }
    cells.iter().flat_map(|(line, cell)| judge(*line, cell, &names)).collect()
}

fn judge(line: usize, cell: &str, names: &BTreeSet<String>) -> Vec<Finding> {
    let tests: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
    if tests.is_empty() && cell != NONE {
        return vec![Finding::at(DOCUMENT, line, format!("name a test, or say `{NONE}`"))];
    }
    let unknown = tests.into_iter().filter(|test| !names.contains(*test));
    unknown
        .map(|test| Finding::at(DOCUMENT, line, format!("`{test}` is no function of any source")))
        .collect()
}

/// Names of all functions of a source, those inside macro calls too.
fn functions(text: &str) -> Vec<String> {
    let paths = paths::all(text).unwrap_or_default();
    let pairs = paths.iter().zip(paths.iter().skip(1));
    pairs.filter(|(word, _)| word.segments == ["fn"]).map(|(_, name)| name.segments.join("::")).collect()
}

/// Line and last cell of each row of the tables whose last heading says that tests follow.
fn cells(text: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let row = line.strip_prefix('|').and_then(|row| row.trim_end().strip_suffix('|'));
        let Some(last) = row.and_then(|row| row.rsplit('|').next()).map(str::trim) else {
            inside = false;
            continue;
        };
        if last == HEADING {
            inside = true;
        } else if inside && !last.starts_with("---") {
            found.push((number + 1, last));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(cell: &str) -> usize {
        let table =
            format!("| Who | Shown by |\n|---|---|\n| all | {cell} |\n\n| a | b |\n|---|---|\n| c | d |\n");
        let source = "#[test] fn it_holds() {} proptest! { #[test] fn always(a in 0..9) {} }";
        check(&Tree::of(DOCUMENT, &table).with("a.rs", source)).len()
    }

    #[test]
    fn rows_that_name_tests_or_admit_that_there_is_none_pass() {
        assert_eq!(findings("`it_holds`, `always`"), 0);
        assert_eq!(findings("not yet"), 0);
    }

    #[test]
    fn rows_that_name_nothing_or_what_does_not_exist_are_found() {
        assert_eq!(findings("`it_held`"), 1);
        assert_eq!(findings("`it_holds`, `it_held`"), 1);
        assert_eq!(findings("obvious"), 1);
        assert_eq!(findings(""), 1);
    }

    #[test]
    fn a_document_without_the_table_is_found() {
        assert_eq!(check(&Tree::of(DOCUMENT, "# Security\n")).len(), 1);
        assert_eq!(check(&Tree::of("a.rs", "")).len(), 1);
    }
}
