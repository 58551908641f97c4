//! Refuses what says that something is unfinished, skipped or excused without a reason.
//!
//! The words for unfinished work are looked for in every text, comments included; macros and
//! attributes in Rust alone, by tokens, so that a test may name them in a string.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::paths;
use crate::tree::{Finding, Source, Tree};

/// Spelled in halves, so that this file does not find itself.
const WORDS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
const MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// Every such mark in the tree.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found: Vec<Finding> = tree.files.iter().flat_map(words).collect();
    found.extend(tree.rust().flat_map(|source| match code(source) {
        Ok(found) => found,
        Err(fault) => vec![Finding::of(&source.path, fault)],
    }));
    found
}

fn words(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for (line, text) in source.text.lines().enumerate() {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
            if WORDS.contains(&word) {
                let what = format!("`{word}`: finish it, or say it in an issue");
                found.push(Finding::at(&source.path, line + 1, what));
            }
        }
    }
    found
}

fn code(source: &Source) -> Result<Vec<Finding>, String> {
    let mut found = Vec::new();
    for path in paths::all(&source.text)? {
        let last = path.segments.last().map(String::as_str).unwrap_or_default();
        if path.is_macro && MACROS.contains(&last) {
            found.push(Finding::at(&source.path, path.line, format!("`{last}!` has no place here")));
        }
    }
    attributes(paths::tokens(&source.text)?, &mut |attribute| {
        judge(attribute, &mut |line, what| found.push(Finding::at(&source.path, line, what)));
    });
    Ok(found)
}

/// Gives `see` the content of every attribute, however deep.
fn attributes(tokens: TokenStream, see: &mut impl FnMut(TokenStream)) {
    let mut after_hash = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                if after_hash && group.delimiter() == Delimiter::Bracket {
                    see(group.stream());
                } else {
                    attributes(group.stream(), see);
                }
                after_hash = false;
            }
            TokenTree::Punct(punct) => {
                after_hash = punct.as_char() == '#' || (after_hash && punct.as_char() == '!');
            }
            TokenTree::Ident(_) | TokenTree::Literal(_) => after_hash = false,
        }
    }
}

/// Judges one attribute, and what `cfg_attr` puts in its place.
fn judge(attribute: TokenStream, found: &mut impl FnMut(usize, String)) {
    let mut before: Option<(String, usize)> = None;
    for token in attribute {
        match (token, before.take()) {
            (TokenTree::Ident(ident), _) => {
                let line = ident.span().start().line;
                if ident == "ignore" {
                    found(line, "a test is run or it is not there: `#[ignore]` is neither".to_owned());
                }
                before = Some((ident.to_string(), line));
            }
            (TokenTree::Group(group), Some((name, line))) => match name.as_str() {
                "allow" | "expect" if !paths_of(group.stream()).contains(&"reason".to_owned()) => {
                    found(line, format!("`{name}` needs a `reason = \"...\"`"));
                }
                "cfg_attr" => judge(group.stream(), found),
                _ => {}
            },
            _ => {}
        }
    }
}

fn paths_of(tokens: TokenStream) -> Vec<String> {
    let names = tokens.into_iter().filter_map(|token| match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        check(&Tree::of(path, text)).len()
    }

    #[test]
    fn unfinished_work_is_found_in_comments_documents_and_scripts() {
        for word in WORDS {
            assert_eq!(findings("a.rs", &format!("// {word}: later\n")), 1, "{word}");
            assert_eq!(findings("a.md", &format!("see ({word})\n")), 1, "{word}");
            assert_eq!(findings("scripts/run", &format!("# {word}\n")), 1, "{word}");
        }
        assert_eq!(findings("a.rs", &format!("// {0}{0} and mktemp /tmp/a.{0}{0}\n", WORDS[2])), 0);
    }

    #[test]
    fn macros_for_unfinished_work_are_found() {
        assert_eq!(findings("a.rs", "fn f() { todo!() }"), 1);
        assert_eq!(findings("a.rs", "fn f() { core::unimplemented!(\"a\") }"), 1);
        assert_eq!(findings("a.rs", "fn f() { let s = \"todo!()\"; }"), 0);
    }

    #[test]
    fn a_skipped_test_is_found_with_or_without_a_reason() {
        assert_eq!(findings("a.rs", "#[test]\n#[ignore]\nfn f() {}"), 1);
        assert_eq!(findings("a.rs", "mod m { #[ignore = \"slow\"] fn f() {} }"), 1);
        assert_eq!(findings("a.rs", "#[cfg_attr(debug_assertions, ignore)] fn f() {}"), 1);
        assert_eq!(findings("a.rs", "fn ignore() {} fn g() { ignore(); }"), 0);
    }

    #[test]
    fn an_excuse_needs_a_reason() {
        assert_eq!(findings("a.rs", "#![allow(dead_code)]"), 1);
        assert_eq!(findings("a.rs", "mod m { #[expect(clippy::panic)] fn f() {} }"), 1);
        assert_eq!(findings("a.rs", "#[cfg_attr(unix, allow(dead_code))] fn f() {}"), 1);
        assert_eq!(findings("a.rs", "#[allow(dead_code, reason = \"read by the page\")] fn f() {}"), 0);
        assert_eq!(findings("a.rs", "macro_rules! m { () => { #[allow(dead_code)] fn f() {} } }"), 1);
    }
}
