//! Refuses a source that does not open with a header: a `//!` paragraph that is a full sentence.
//!
//! Tests and benches are sources too. Whether the sentence is true is for reviewers.

use crate::tree::{Finding, Source, Tree};

const WORDS_MIN: usize = 4;

/// Every source without a header.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust().filter_map(check_source).collect()
}

fn check_source(source: &Source) -> Option<Finding> {
    let paragraph: Vec<&str> = source
        .text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let paragraph = paragraph.join(" ");
    if paragraph.is_empty() {
        return Some(Finding::at(&source.path, 1, "opens without a `//!` header"));
    }
    let words = paragraph.split(' ').count();
    let is_sentence = words >= WORDS_MIN && paragraph.ends_with(['.', ':']);
    (!is_sentence)
        .then(|| Finding::at(&source.path, 1, format!("the header is no full sentence: `{paragraph}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(text: &str) -> bool {
        check(&Tree::of("a.rs", text)).is_empty()
    }

    #[test]
    fn a_sentence_passes_on_one_line_or_more() {
        assert!(passes("//! Decides who is in.\n\nuse a;"));
        assert!(passes("//! Decides who is in, from statements\n//! alone.\n//!\n//! More.\n"));
    }

    #[test]
    fn a_missing_late_short_or_broken_header_is_refused() {
        assert!(!passes(""));
        assert!(!passes("use a;\n"));
        assert!(!passes("use a;\n//! Decides who is in.\n"));
        assert!(!passes("// Decides who is in.\n"));
        assert!(!passes("//! The roster.\n"));
        assert!(!passes("//! Decides who is in\n\nuse a;"));
        assert!(!passes("//!\n//! Decides who is in.\n"));
    }
}
