//! Holds Cargo.lock to the first versions without known advisories.
//!
//! Some of these advisories are in no database that tools read, so the floors are kept here. A
//! crate that is no longer locked is found as well, so that a rename cannot void its floor.

use serde::Deserialize;

use crate::tree::Finding;

const LOCK: &str = "Cargo.lock";

/// What is asked of every locked version of a crate.
enum Demand {
    /// This version or newer.
    AtLeast([u64; 3]),
    /// This version alone.
    Exactly([u64; 3]),
}

use Demand::{AtLeast, Exactly};

const DEMANDS: &[(&str, Demand, &str)] = &[
    ("libp2p-gossipsub", AtLeast([0, 50, 1]), "GHSA-vrx6-jcp8-vm7m, GHSA-g3g5-x568-qvqx"),
    ("yamux", AtLeast([0, 13, 10]), "CVE-2026-32314, CVE-2026-31814, GHSA-4w32-2493-32g7"),
    ("quinn-proto", AtLeast([0, 11, 15]), "RUSTSEC-2026-0037, RUSTSEC-2026-0185"),
    ("hickory-proto", AtLeast([0, 26, 1]), "RUSTSEC-2026-0118, RUSTSEC-2026-0119"),
    ("rustls-webpki", AtLeast([0, 103, 13]), "earlier versions have known advisories"),
    ("curve25519-dalek", AtLeast([4, 1, 3]), "RUSTSEC-2024-0344"),
    ("ed25519-dalek", AtLeast([2, 0, 0]), "RUSTSEC-2022-0093"),
    ("yrs", Exactly([0, 28, 1]), "the parser of updates was checked against this version alone"),
];

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

/// Every locked version that is not as demanded.
pub(crate) fn check(text: &str) -> Vec<Finding> {
    let lock: Lock = match toml::from_str(text) {
        Ok(lock) => lock,
        Err(fault) => return vec![Finding::of(LOCK, fault.to_string())],
    };
    DEMANDS.iter().flat_map(|(name, demand, why)| judge(&lock, name, demand, why)).collect()
}

fn judge(lock: &Lock, name: &str, demand: &Demand, why: &str) -> Vec<Finding> {
    let mut locked = lock.package.iter().filter(|package| package.name == name).peekable();
    if locked.peek().is_none() {
        return vec![Finding::of(LOCK, format!("`{name}` is no longer locked: take it off this list"))];
    }
    locked
        .filter(|package| !demand.is_met_by(&package.version))
        .map(|package| Finding::of(LOCK, format!("`{name}` {}: {demand} is needed ({why})", package.version)))
        .collect()
}

impl Demand {
    fn is_met_by(&self, version: &str) -> bool {
        let Some(locked) = release(version) else { return false };
        match self {
            AtLeast(floor) => locked >= *floor,
            Exactly(only) => locked == *only,
        }
    }
}

impl std::fmt::Display for Demand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (word, [major, minor, patch]) = match self {
            AtLeast(version) => ("at least", version),
            Exactly(version) => ("exactly", version),
        };
        write!(f, "{word} {major}.{minor}.{patch}")
    }
}

/// The three numbers of a release; `None` for a pre-release, which meets no demand.
fn release(version: &str) -> Option<[u64; 3]> {
    let version = version.split('+').next().unwrap_or(version);
    let numbers: Option<Vec<u64>> = version.split('.').map(|number| number.parse().ok()).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(changed: &str, version: &str) -> String {
        let row =
            |name: &str, version: &str| format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n");
        let mut text: String = DEMANDS
            .iter()
            .filter(|(name, ..)| *name != changed)
            .map(|(name, AtLeast([a, b, c]) | Exactly([a, b, c]), _)| row(name, &format!("{a}.{b}.{c}")))
            .collect();
        if !version.is_empty() {
            text.push_str(&row(changed, version));
        }
        text
    }

    fn findings(name: &str, version: &str) -> usize {
        check(&lock(name, version)).len()
    }

    #[test]
    fn the_floor_and_what_is_above_it_pass() {
        assert_eq!(findings("yamux", "0.13.10"), 0);
        assert_eq!(findings("yamux", "0.14.1"), 0);
        assert_eq!(findings("yamux", "1.0.0+build"), 0);
    }

    #[test]
    fn what_is_below_the_floor_is_found_beside_a_good_version_too() {
        assert_eq!(findings("yamux", "0.13.9"), 1);
        assert_eq!(findings("yamux", "0.12.1"), 1);
        assert_eq!(findings("ed25519-dalek", "2.0.0-rc.3"), 1);
        let twice = format!("{}{}", lock("", ""), "[[package]]\nname = \"yamux\"\nversion = \"0.12.1\"\n");
        assert_eq!(check(&twice).len(), 1);
    }

    #[test]
    fn an_exact_version_is_exact() {
        assert_eq!(findings("yrs", "0.28.1"), 0);
        assert_eq!(findings("yrs", "0.28.2"), 1);
        assert_eq!(findings("yrs", "0.28.0"), 1);
    }

    #[test]
    fn a_crate_that_is_gone_and_a_lock_that_is_no_lock_are_found() {
        assert_eq!(findings("yamux", ""), 1);
        assert_eq!(check("package = 1").len(), 1);
    }
}
