//! Refuses dependencies whose licence is not on the list of deny.toml, without asking the network.
//!
//! What counts is what is compiled on this machine for the product and its tests, by `cargo
//! tree`. An expression passes if it can be met with allowed licences alone; `/` means `OR`, as
//! in old manifests.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::edges;
use crate::tree::Finding;

#[derive(Deserialize)]
struct Deny {
    licenses: Allowed,
}

#[derive(Deserialize)]
struct Allowed {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// A crate that may have licences which others may not.
#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

/// Name and licence of everything that is compiled, from cargo.
pub(crate) fn packages(root: PathBuf) -> Result<BTreeMap<String, String>, String> {
    let arguments =
        ["tree", "--workspace", "--offline", "--locked", "--prefix", "none", "--format", "{p}\t{l}"];
    let text = edges::cargo(&arguments, root)?;
    let rows = text.lines().filter_map(|line| line.split_once('\t'));
    Ok(rows.map(|(package, licence)| (package.to_owned(), licence.replace(" (*)", ""))).collect())
}

/// Every package whose licence `deny` does not allow.
pub(crate) fn check(deny: &str, packages: &BTreeMap<String, String>) -> Vec<Finding> {
    let deny: Deny = match toml::from_str(deny) {
        Ok(deny) => deny,
        Err(fault) => return vec![Finding::of("deny.toml", fault.to_string())],
    };
    let refused = packages.iter().filter(|(package, licence)| {
        let name = package.split(' ').next().unwrap_or(package);
        let excepted = deny.licenses.exceptions.iter().filter(|exception| exception.name == name);
        let extra: Vec<&String> = excepted.flat_map(|exception| &exception.allow).collect();
        let allowed =
            |id: &str| deny.licenses.allow.iter().any(|a| a == id) || extra.iter().any(|a| *a == id);
        !is_met(licence, &allowed)
    });
    refused
        .map(|(package, licence)| Finding::of(package, format!("licence `{licence}` is not allowed")))
        .collect()
}

/// Whether an SPDX expression can be met with the licences that `allowed` names.
fn is_met(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut terms = Terms { words: &words, allowed };
    let met = terms.any();
    met && terms.words.is_empty()
}

/// What is left of an expression.
struct Terms<'a> {
    words: &'a [&'a str],
    allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Terms<'a> {
    /// Alternatives: `AND` binds closer than `OR`.
    fn any(&mut self) -> bool {
        let mut met = self.all();
        while self.takes("OR") {
            met |= self.all();
        }
        met
    }

    fn all(&mut self) -> bool {
        let mut met = self.one();
        while self.takes("AND") {
            met &= self.one();
        }
        met
    }

    fn one(&mut self) -> bool {
        if self.takes("(") {
            let met = self.any();
            return self.takes(")") && met;
        }
        let Some(id) = self.next() else { return false };
        if self.takes("WITH") {
            let Some(exception) = self.next() else { return false };
            return (self.allowed)(&format!("{id} WITH {exception}"));
        }
        (self.allowed)(id)
    }

    fn takes(&mut self, word: &str) -> bool {
        let taken = self.words.first() == Some(&word);
        if taken {
            self.next();
        }
        taken
    }

    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = "[licenses]\nallow = [\"MIT\", \"ISC\", \"Apache-2.0 WITH LLVM-exception\"]\n\
                        exceptions = [{ crate = \"odd\", allow = [\"MPL-2.0\"] }]\n";

    fn passes(package: &str, licence: &str) -> bool {
        check(DENY, &BTreeMap::from([(package.to_owned(), licence.to_owned())])).is_empty()
    }

    #[test]
    fn an_expression_passes_if_allowed_licences_meet_it() {
        for licence in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "Apache-2.0 / MIT",
            "ISC AND (GPL-3.0 OR MIT)",
            "Apache-2.0 WITH LLVM-exception",
            "GPL-3.0 AND BSD-3-Clause OR MIT",
        ] {
            assert!(passes("a v1.0.0", licence), "{licence}");
        }
    }

    #[test]
    fn an_expression_that_needs_another_licence_is_refused() {
        for licence in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR ISC) AND GPL-3.0",
            "Apache-2.0",
            "MIT WITH LLVM-exception",
            "MIT ISC",
            "(MIT",
            "MIT AND",
        ] {
            assert!(!passes("a v1.0.0", licence), "{licence}");
        }
    }

    #[test]
    fn an_exception_is_for_its_crate_alone() {
        assert!(passes("odd v1.0.0", "MPL-2.0"));
        assert!(!passes("even v1.0.0", "MPL-2.0"));
    }

    #[test]
    fn a_list_that_cannot_be_read_is_found() {
        assert_eq!(check("[licenses]", &BTreeMap::new()).len(), 1);
    }
}
