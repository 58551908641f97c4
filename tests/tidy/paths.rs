//! Lists every path that a source names, as the compiler would read it: `use` groups are spelled
//! out, and comments, strings and character literals do not count.
//!
//! `names`, `marks` and `document` judge what is found here. It works on tokens, so it sees into
//! macro calls and `macro_rules` as well; it does not follow renames (`use x as y` names `x`).

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Words that end before a path may begin with `::`.
const KEYWORDS: [&str; 19] = [
    "as", "async", "await", "break", "const", "dyn", "else", "for", "if", "impl", "in", "let", "match",
    "move", "mut", "ref", "return", "use", "where",
];

/// One path as it is named, such as `std::fs::File`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// Its segments; `*` for a glob.
    pub(crate) segments: Vec<String>,
    /// Whether it is called as a macro.
    pub(crate) is_macro: bool,
    /// The line of its last segment.
    pub(crate) line: usize,
}

impl Path {
    /// Whether the path is this one or lies below it.
    pub(crate) fn starts_with(&self, prefix: &[&str]) -> bool {
        self.segments.len() >= prefix.len() && self.segments.iter().zip(prefix).all(|(a, b)| a == b)
    }

    /// Whether any segment is this name.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.segments.iter().any(|segment| segment == name)
    }
}

/// All paths of a source in the order in which they are named; an error if it is not Rust.
pub(crate) fn all(text: &str) -> Result<Vec<Path>, String> {
    let mut found = Vec::new();
    collect(tokens(text)?, &[], &mut found);
    Ok(found)
}

/// The tokens of a source, without comments.
pub(crate) fn tokens(text: &str) -> Result<TokenStream, String> {
    text.parse().map_err(|fault| format!("is not Rust: {fault}"))
}

/// Reads one group or file. `prefix` is the path before the braces of a `use` group.
fn collect(tokens: TokenStream, prefix: &[String], found: &mut Vec<Path>) {
    let mut walk = Walk { prefix, current: None, joined: false, found };
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(ident) if ident == "as" => {
                walk.end(false);
                if !prefix.is_empty() {
                    tokens.next();
                }
            }
            TokenTree::Ident(ident) => walk.segment(ident.to_string(), ident.span().start().line),
            TokenTree::Punct(punct) if punct.as_char() == ':' && is_colon(tokens.peek()) => {
                tokens.next();
                walk.join();
            }
            TokenTree::Punct(punct) if punct.as_char() == '*' && walk.joined => {
                walk.segment("*".to_owned(), punct.span().start().line);
            }
            TokenTree::Punct(punct) if punct.as_char() == '!' => {
                let called = matches!(tokens.peek(), Some(TokenTree::Group(_)));
                walk.end(called);
            }
            TokenTree::Group(group) => walk.group(&group),
            TokenTree::Punct(_) | TokenTree::Literal(_) => walk.end(false),
        }
    }
    walk.end(false);
}

fn is_colon(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

/// A path in the making.
struct Walk<'a> {
    prefix: &'a [String],
    current: Option<Path>,
    joined: bool,
    found: &'a mut Vec<Path>,
}

impl Walk<'_> {
    fn segment(&mut self, segment: String, line: usize) {
        match &mut self.current {
            Some(path) if self.joined => {
                path.segments.push(segment);
                path.line = line;
            }
            _ => {
                self.end(false);
                let mut segments = self.prefix.to_vec();
                segments.push(segment);
                self.current = Some(Path { segments, is_macro: false, line });
            }
        }
        self.joined = false;
    }

    fn join(&mut self) {
        let is_keyword = |path: &Path| path.segments.last().is_some_and(|s| KEYWORDS.contains(&s.as_str()));
        if self.current.as_ref().is_some_and(is_keyword) {
            self.end(false);
        }
        self.joined = true;
    }

    fn group(&mut self, group: &Group) {
        if self.joined && group.delimiter() == Delimiter::Brace {
            let before = self.current.take().map(|path| path.segments).unwrap_or_default();
            self.joined = false;
            collect(group.stream(), &before, self.found);
        } else {
            self.end(false);
            collect(group.stream(), &[], self.found);
        }
    }

    fn end(&mut self, is_macro: bool) {
        self.joined = false;
        if let Some(path) = self.current.take() {
            self.found.push(Path { is_macro, ..path });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<String> {
        all(text).unwrap().iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn use_groups_are_spelled_out() {
        assert_eq!(
            named("use std::{fs, collections::{HashMap as M, self}};"),
            ["use", "std::fs", "std::collections::HashMap", "std::collections::self"]
        );
    }

    #[test]
    fn strings_comments_and_characters_are_not_names() {
        assert_eq!(named("/* a::b */ // c::d\nlet x = \"e::f\"; let y = 'g';"), ["let", "x", "let", "y"]);
    }

    #[test]
    fn macro_calls_are_told_from_negation() {
        let paths = all("fn f() { println!(\"{}\", a != b, !c) }").unwrap();
        let macros: Vec<&Path> = paths.iter().filter(|path| path.is_macro).collect();
        assert_eq!(macros.len(), 1);
        assert!(macros[0].names("println"));
    }

    #[test]
    fn a_leading_double_colon_and_a_glob_are_read() {
        assert_eq!(named("::std::fs::read(p)"), ["std::fs::read", "p"]);
        assert_eq!(named("use ::std::{fs};"), ["use", "std::fs"]);
        assert_eq!(named("use std::*;"), ["use", "std::*"]);
    }

    #[test]
    fn one_colon_joins_nothing() {
        assert_eq!(named("fn f(x:&Y, z: ::a::b)"), ["fn", "f", "x", "Y", "z", "a::b"]);
    }

    #[test]
    fn lines_count_from_one() {
        assert_eq!(all("a;\nb::c;").unwrap()[1].line, 2);
    }

    #[test]
    fn what_is_not_rust_is_an_error() {
        assert!(all("fn f( {").is_err());
    }
}
