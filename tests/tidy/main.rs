//! The rules of the house, as tests: what may name what, how large things grow, what is written down.
//!
//! Each module holds one rule as a function from sources to findings, with tests that show it can
//! fail; the tests below hold this repository to all of them. Nothing is compiled or run here:
//! sources are read as text and tokens, dependencies by `cargo metadata` without the network.

mod document;
mod edges;
mod headers;
mod licences;
mod limits;
mod lock;
mod map;
mod marks;
mod names;
mod paths;
mod planted;
mod sizes;
mod tree;

use tree::{Finding, Tree};

/// Fails with every finding on a line of its own.
fn none(findings: Vec<Finding>) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "{} finding(s):\n{}", lines.len(), lines.join("\n"));
}

fn repository() -> Tree {
    Tree::read(tree::root())
}

#[test]
fn the_walk_sees_sources_scripts_and_documents() {
    let tree = repository();
    for path in ["protocol/src/lib.rs", "storage/src/lib.rs", "node/src/lib.rs", "tests/tidy/main.rs"] {
        assert!(tree.rust().any(|source| source.path == path), "{path} was not read");
    }
    for path in ["scripts/run", "scripts/test", ".ci/run", "docs/ARCHITECTURE.md", "Cargo.toml"] {
        assert!(tree.text(path).is_some(), "{path} was not read");
    }
}

#[test]
fn crates_import_only_what_their_place_allows() {
    none(edges::check(&edges::workspace(tree::root()).unwrap()));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    none(edges::check_lints(&repository()));
}

#[test]
fn the_machine_names_no_clock_file_socket_task_or_unseeded_generator() {
    none(names::check(&repository()));
}

#[test]
fn files_and_functions_stay_small_and_modules_are_named_for_what_they_decide() {
    none(sizes::check(&repository()));
}

#[test]
fn every_source_opens_with_a_header() {
    none(headers::check(&repository()));
}

#[test]
fn nothing_is_left_unfinished_skipped_or_allowed_without_a_reason() {
    none(marks::check(&repository()));
}

#[test]
fn the_code_map_names_every_module_and_nothing_else() {
    none(map::check(&repository()));
}

#[test]
fn the_protocol_document_has_the_limits_of_the_wire_format() {
    none(limits::check(&repository()));
}

#[test]
fn every_limit_is_run_into_by_a_test() {
    none(limits::check_tests(&repository()));
}

#[test]
fn every_planted_bug_has_one_hook_and_one_row_that_catches_it() {
    none(planted::check(&repository()));
}

#[test]
fn the_security_document_names_only_tests_that_exist() {
    none(document::check(&repository()));
}

#[test]
fn no_locked_crate_is_older_than_its_last_advisory() {
    let tree = repository();
    none(lock::check(tree.text("Cargo.lock").unwrap()));
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let tree = repository();
    let packages = licences::packages(tree::root()).unwrap();
    assert!(packages.len() > 100, "only {} packages were seen", packages.len());
    none(licences::check(tree.text("deny.toml").unwrap(), &packages));
}
