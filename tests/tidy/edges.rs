//! Refuses dependencies that a crate's place in the whole does not allow.
//!
//! `protocol` decides and imports no other crate of ours; `storage` remembers; `node` acts and is
//! the only one on the network; `tests` drives the first two and at most tries the third. Read
//! from `cargo metadata`, so renamed and optional dependencies count.

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use crate::tree::{Finding, Tree};

/// The answer of `cargo metadata --no-deps`.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    packages: Vec<Package>,
}

/// One crate of the workspace.
#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

/// One line of its manifest.
#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `None` for what is linked, else `dev` or `build`.
    kind: Option<String>,
    #[serde(default)]
    features: Vec<String>,
}

/// What one crate may do.
struct Place {
    package: &'static str,
    /// Crates of the workspace.
    may: &'static [&'static str],
    /// Crates of the workspace, for its own tests alone.
    may_test: &'static [&'static str],
    /// Crates of others, whatever for.
    never: &'static [&'static str],
}

const PLACES: &[Place] = &[
    Place {
        package: "fourword-protocol",
        may: &[],
        may_test: &[],
        never: &[
            "async-std",
            "axum",
            "futures",
            "getrandom",
            "hyper",
            "libp2p",
            "libp2p-stream",
            "mio",
            "notify",
            "reqwest",
            "rusqlite",
            "sled",
            "socket2",
            "tokio",
            "uuid",
        ],
    },
    Place {
        package: "fourword-storage",
        may: &["fourword-protocol"],
        may_test: &[],
        never: &["axum", "hyper", "libp2p", "libp2p-stream", "tokio", "yrs"],
    },
    Place {
        package: "fourword",
        may: &["fourword-protocol", "fourword-storage"],
        may_test: &[],
        never: &["bincode", "rusqlite", "sled", "yrs"],
    },
    Place {
        package: "fourword-tests",
        may: &["fourword-protocol", "fourword-storage"],
        may_test: &["fourword"],
        never: &["libp2p", "libp2p-stream", "tokio"],
    },
];

/// Features by which a generator without a seed would come in.
const UNSEEDED: [&str; 4] = ["os_rng", "sys_rng", "thread_rng", "getrandom"];

/// Asks cargo for the workspace; an error says why it does not answer.
pub(crate) fn workspace(root: PathBuf) -> Result<Metadata, String> {
    let text = cargo(&["metadata", "--no-deps", "--offline", "--format-version", "1"], root)?;
    serde_json::from_str(&text).map_err(|fault| format!("cargo metadata: {fault}"))
}

/// Runs cargo in the root and gives what it printed.
pub(crate) fn cargo(arguments: &[&str], root: PathBuf) -> Result<String, String> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program).args(arguments).current_dir(root).output();
    let output = output.map_err(|fault| format!("cargo does not start: {fault}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8(output.stdout).map_err(|fault| fault.to_string())
}

/// Every dependency that is not allowed, and every crate without a place.
pub(crate) fn check(workspace: &Metadata) -> Vec<Finding> {
    let ours: Vec<&str> = workspace.packages.iter().map(|package| package.name.as_str()).collect();
    let mut found = Vec::new();
    for package in &workspace.packages {
        match PLACES.iter().find(|place| place.package == package.name) {
            Some(place) => found.extend(package.dependencies.iter().filter_map(|d| judge(place, d, &ours))),
            None => {
                found.push(Finding::of(&package.name, "has no place: say in this rule what it may import"))
            }
        }
    }
    found
}

fn judge(place: &Place, dependency: &Dependency, ours: &[&str]) -> Option<Finding> {
    let name = dependency.name.as_str();
    let is_for_tests = dependency.kind.as_deref() == Some("dev");
    if ours.contains(&name) {
        let allowed = place.may.contains(&name) || (is_for_tests && place.may_test.contains(&name));
        return (!allowed).then(|| Finding::of(place.package, format!("must not import `{name}`")));
    }
    if place.never.contains(&name) {
        return Some(Finding::of(place.package, format!("must not import `{name}`")));
    }
    let unseeded = dependency.features.iter().find(|feature| UNSEEDED.contains(&feature.as_str()));
    unseeded.filter(|_| place.package == "fourword-protocol" && !is_for_tests).map(|feature| {
        Finding::of(place.package, format!("must not take `{name}` with `{feature}`: it is unseeded"))
    })
}

/// Every manifest of a crate that does not say `lints.workspace = true`.
pub(crate) fn check_lints(tree: &Tree) -> Vec<Finding> {
    let manifests = tree.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    manifests
        .filter_map(|file| match file.text.parse::<toml::Table>() {
            Ok(table) => {
                let taken = table.get("lints").and_then(|lints| lints.get("workspace"));
                (taken.and_then(toml::Value::as_bool) != Some(true))
                    .then(|| Finding::of(&file.path, "add `[lints] workspace = true`"))
            }
            Err(fault) => Some(Finding::of(&file.path, fault.to_string())),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(package: &str, name: &str, kind: Option<&str>, features: &[&str]) -> usize {
        let workspace = serde_json::json!({ "packages": [
            { "name": package, "dependencies": [{ "name": name, "kind": kind, "features": features }] },
        ]});
        let mut workspace: Metadata = serde_json::from_value(workspace).unwrap();
        for place in PLACES.iter().filter(|place| place.package != package) {
            workspace.packages.push(Package { name: place.package.to_owned(), dependencies: Vec::new() });
        }
        check(&workspace).len()
    }

    #[test]
    fn the_crates_look_down_and_never_up() {
        assert_eq!(findings("fourword-storage", "fourword-protocol", None, &[]), 0);
        assert_eq!(findings("fourword", "fourword-storage", None, &[]), 0);
        assert_eq!(findings("fourword-protocol", "fourword-storage", None, &[]), 1);
        assert_eq!(findings("fourword-protocol", "fourword-storage", Some("dev"), &[]), 1);
        assert_eq!(findings("fourword-storage", "fourword", Some("build"), &[]), 1);
    }

    #[test]
    fn the_node_may_be_tried_by_tests_but_not_linked_into_the_harness() {
        assert_eq!(findings("fourword-tests", "fourword", Some("dev"), &[]), 0);
        assert_eq!(findings("fourword-tests", "fourword", None, &[]), 1);
        assert_eq!(findings("fourword-tests", "tokio", None, &[]), 1);
    }

    #[test]
    fn crates_of_others_stay_where_they_belong() {
        assert_eq!(findings("fourword-protocol", "tokio", None, &[]), 1);
        assert_eq!(findings("fourword-protocol", "yrs", None, &[]), 0);
        assert_eq!(findings("fourword-storage", "libp2p", None, &[]), 1);
        assert_eq!(findings("fourword", "yrs", Some("dev"), &[]), 1);
        assert_eq!(findings("fourword", "libp2p", None, &[]), 0);
    }

    #[test]
    fn the_machine_takes_no_unseeded_generator() {
        assert_eq!(findings("fourword-protocol", "rand", None, &[]), 0);
        assert_eq!(findings("fourword-protocol", "rand", None, &["sys_rng"]), 1);
        assert_eq!(findings("fourword", "rand", None, &["sys_rng"]), 0);
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        assert_eq!(findings("fourword-extra", "blake3", None, &[]), 1);
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        let good = "[package]\nname = \"a\"\n[lints]\nworkspace = true\n";
        assert_eq!(check_lints(&Tree::of("a/Cargo.toml", good)), []);
        assert_eq!(check_lints(&Tree::of("a/Cargo.toml", "[package]\nname = \"a\"\n")).len(), 1);
        assert_eq!(check_lints(&Tree::of("a/Cargo.toml", &good.replace("true", "false"))).len(), 1);
    }
}
