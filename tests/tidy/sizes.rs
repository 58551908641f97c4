//! Refuses files of more than 600 lines, functions of more than 70, and modules named for nothing.
//!
//! A file's closing `#[cfg(test)]` module is not counted, nor are test functions. Functions that
//! a macro writes are not seen. The bounds are for readers: what grows past them does two things.

use syn::visit::{self, Visit};

use crate::tree::{Finding, Source, Tree};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const EMPTY_NAMES: [&str; 8] =
    ["util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"];

/// Every file and function that is too long, and every module whose name says nothing.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust().flat_map(check_source).collect()
}

fn check_source(source: &Source) -> Vec<Finding> {
    let file = match syn::parse_file(&source.text) {
        Ok(file) => file,
        Err(fault) => return vec![Finding::of(&source.path, format!("is not Rust: {fault}"))],
    };
    let mut scan = Scan { path: &source.path, found: Vec::new() };
    for part in source.path.trim_end_matches(".rs").split('/') {
        scan.name(part, 0);
    }
    let lines = counted_lines(&file, &source.text);
    if lines > FILE_LINES_MAX {
        let what = format!("has {lines} lines without its tests; {FILE_LINES_MAX} are the most");
        scan.found.push(Finding::of(&source.path, what));
    }
    scan.visit_file(&file);
    scan.found
}

/// Lines before a closing test module, or all.
fn counted_lines(file: &syn::File, text: &str) -> usize {
    match file.items.last() {
        Some(syn::Item::Mod(module)) if module.content.is_some() && is_for_tests(&module.attrs) => {
            let first = module.attrs.first().map_or(module.mod_token.span, |first| first.pound_token.span);
            first.start().line.saturating_sub(1)
        }
        _ => text.lines().count(),
    }
}

/// Whether the attributes mark a test, or what is compiled for tests alone.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string() == "test",
        meta => meta.path().segments.last().is_some_and(|segment| segment.ident == "test"),
    })
}

/// Walks one file.
struct Scan<'a> {
    path: &'a str,
    found: Vec<Finding>,
}

impl Scan<'_> {
    fn name(&mut self, name: &str, line: usize) {
        if EMPTY_NAMES.contains(&name) {
            let what = format!("`{name}` says nothing: name the module for what it decides");
            self.found.push(Finding::at(self.path, line, what));
        }
    }

    fn function(&mut self, attributes: &[syn::Attribute], signature: &syn::Signature, block: &syn::Block) {
        let first = signature.fn_token.span.start().line;
        let lines = block.brace_token.span.close().end().line.saturating_sub(first) + 1;
        if lines > FUNCTION_LINES_MAX && !is_for_tests(attributes) {
            let what = format!("`{}` has {lines} lines; {FUNCTION_LINES_MAX} are the most", signature.ident);
            self.found.push(Finding::at(self.path, first, what));
        }
    }
}

impl<'ast> Visit<'ast> for Scan<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.name(&module.ident.to_string(), module.ident.span().start().line);
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.function(&function.attrs, &function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.function(&function.attrs, &function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.function(&function.attrs, &function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(path, text)).iter().map(Finding::to_string).collect()
    }

    /// A function of so many lines, its braces hidden in strings and comments too.
    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    g(\"}\"); // }\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_of_seventy_lines_passes_and_one_more_does_not() {
        assert_eq!(found("a.rs", &function(70)), [""; 0]);
        assert_eq!(found("a.rs", &function(71)), ["a.rs:1: `long` has 71 lines; 70 are the most"]);
    }

    #[test]
    fn long_functions_are_found_in_impls_traits_and_other_functions() {
        let long = function(80);
        for text in [
            format!("impl A {{ {long} }}"),
            format!("trait A {{ {long} }}"),
            format!("fn outer() {{ {long} }}"),
            format!("mod inner {{ {long} }}"),
        ] {
            assert!(found("a.rs", &text).iter().any(|finding| finding.contains("`long`")), "{text}");
        }
    }

    #[test]
    fn test_functions_may_be_long() {
        assert_eq!(found("a.rs", &format!("#[test] {}", function(80))), [""; 0]);
        assert_eq!(found("a.rs", &format!("#[tokio::test] {}", function(80))), [""; 0]);
        assert_eq!(found("a.rs", &format!("#[cfg(test)] mod tests {{ {} }}", function(80))), [""; 0]);
        assert_eq!(found("a.rs", &format!("#[cfg(not(test))] {}", function(80))).len(), 1);
    }

    #[test]
    fn a_file_is_counted_without_its_closing_tests() {
        let code = "const A: u8 = 1;\n".repeat(600);
        let tests = "#[cfg(test)]\nmod tests {\n    const B: u8 = 1;\n}\n";
        assert_eq!(found("a.rs", &format!("{code}{tests}")), [""; 0]);
        assert_eq!(found("a.rs", &format!("{tests}{code}")).len(), 1, "tests stand at the end");
        let long = format!("{code}const C: u8 = 1;\n{tests}");
        assert_eq!(found("a.rs", &long), ["a.rs: has 601 lines without its tests; 600 are the most"]);
    }

    #[test]
    fn modules_named_for_nothing_are_refused() {
        assert_eq!(found("node/src/utils.rs", "").len(), 1);
        assert_eq!(found("node/src/common/mod.rs", "").len(), 1);
        assert_eq!(found("node/src/a.rs", "mod helpers {}").len(), 1);
        assert_eq!(found("node/src/a.rs", "mod manager;").len(), 1);
        assert_eq!(found("node/src/a.rs", "mod tests {}"), [""; 0]);
    }
}
