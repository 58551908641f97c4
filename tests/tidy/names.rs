//! Refuses, in the sources of `protocol`, every name by which the world could reach the machine.
//!
//! A clock, a generator without a seed, a map in hash order, a file, a socket or a task would make
//! two runs of one simulation differ. Tests inside the crate count too. Two names have one home:
//! `yrs` in `update/document`, the codec `bincode` in `wire`; elsewhere its two derives alone.

use crate::paths::{self, Path};
use crate::tree::{Finding, Source, Tree};

const SOURCES: &str = "protocol/src/";

/// What is refused, and why.
enum Rule {
    /// Paths that begin so.
    Below(&'static [&'static str], &'static str),
    /// Paths with this segment anywhere.
    Named(&'static str, &'static str),
    /// Calls of this macro.
    Macro(&'static str, &'static str),
    /// A first segment that only these modules may name, but for these paths.
    Home(&'static str, &'static [&'static str], &'static [&'static [&'static str]], &'static str),
}

const CLOCK: &str = "time is told with each event: use `crate::time`";
const ORDER: &str = "its order is random: use `BTreeMap` or `BTreeSet`";
const WORLD: &str = "the machine touches nothing outside: emit an `Effect`";
const RANDOM: &str = "the generator is seeded and passed as an argument";
const OUTPUT: &str = "the machine prints nothing: emit `Effect::Notify`";

const RULES: &[Rule] = &[
    Rule::Below(&["std", "*"], "name what is used"),
    Rule::Below(&["std", "time"], CLOCK),
    Rule::Named("SystemTime", CLOCK),
    Rule::Named("HashMap", ORDER),
    Rule::Named("HashSet", ORDER),
    Rule::Below(&["std", "fs"], WORLD),
    Rule::Below(&["std", "net"], WORLD),
    Rule::Below(&["std", "env"], WORLD),
    Rule::Below(&["std", "os"], WORLD),
    Rule::Below(&["std", "process"], WORLD),
    Rule::Below(&["std", "thread"], WORLD),
    Rule::Below(&["thread"], WORLD),
    Rule::Named("tokio", WORLD),
    Rule::Named("libp2p", WORLD),
    Rule::Below(&["rand", "rng"], RANDOM),
    Rule::Below(&["rand", "random"], RANDOM),
    Rule::Named("thread_rng", RANDOM),
    Rule::Named("ThreadRng", RANDOM),
    Rule::Named("getrandom", RANDOM),
    Rule::Named("OsRng", RANDOM),
    Rule::Named("SysRng", RANDOM),
    Rule::Macro("print", OUTPUT),
    Rule::Macro("println", OUTPUT),
    Rule::Macro("eprint", OUTPUT),
    Rule::Macro("eprintln", OUTPUT),
    Rule::Home("yrs", &["update/document"], &[], "only `update/document` knows the engine of documents"),
    Rule::Home(
        "bincode",
        &["wire"],
        &[&["bincode", "Encode"], &["bincode", "Decode"]],
        "only `wire` knows the codec; elsewhere derive `Encode` and `Decode`",
    ),
];

/// Every forbidden name in `protocol`.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust().filter(|source| source.path.starts_with(SOURCES)).flat_map(check_source).collect()
}

fn check_source(source: &Source) -> Vec<Finding> {
    let module = source.path.trim_start_matches(SOURCES).trim_end_matches(".rs");
    match paths::all(&source.text) {
        Ok(paths) => paths.iter().filter_map(|path| refused(path, module, &source.path)).collect(),
        Err(fault) => vec![Finding::of(&source.path, fault)],
    }
}

fn refused(path: &Path, module: &str, place: &str) -> Option<Finding> {
    RULES.iter().find_map(|rule| rule.breaks(path, module)).map(|why| {
        let name = path.segments.join("::");
        Finding::at(place, path.line, format!("names `{name}`: {why}"))
    })
}

impl Rule {
    /// The reason if `path` breaks the rule in `module`.
    fn breaks(&self, path: &Path, module: &str) -> Option<&'static str> {
        match *self {
            // A variable called `thread` is no path; `thread::spawn` is.
            Rule::Below(prefix, why) => {
                (path.starts_with(prefix) && (prefix.len() > 1 || path.segments.len() > 1)).then_some(why)
            }
            Rule::Named(name, why) => path.names(name).then_some(why),
            Rule::Macro(name, why) => {
                (path.is_macro && path.segments.last().is_some_and(|last| last == name)).then_some(why)
            }
            Rule::Home(name, homes, excepted, why) => {
                let at_home = homes.iter().any(|home| {
                    module.strip_prefix(home).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                });
                let allowed = at_home || excepted.iter().any(|free| path.starts_with(free));
                (path.starts_with(&[name]) && !allowed).then_some(why)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused_in(path: &str, text: &str) -> Vec<Finding> {
        check(&Tree::of(path, text))
    }

    #[test]
    fn each_forbidden_name_is_found_however_it_is_written() {
        for text in [
            "use std::time::Instant;",
            "use std::{fmt, time::{Duration, Instant}};",
            "use ::std::fs;",
            "fn f() { let t = std::time::SystemTime::now(); }",
            "use std::{collections::{BTreeMap, HashMap}};",
            "type S = std::collections::HashSet<u8>;",
            "use std::net::TcpStream;",
            "fn f() { std::thread::spawn(g); }",
            "fn f() { thread::sleep(g); }",
            "fn f() { let r = rand::rng(); }",
            "fn f() { let r: u8 = rand::random(); }",
            "use rand::rngs::SysRng;",
            "use rand_core::OsRng;",
            "fn f() { getrandom::fill(&mut b); }",
            "fn f() { tokio::spawn(g); }",
            "fn f() { println!(\"{}\", 1); }",
            "fn f() { eprintln!(); }",
            "macro_rules! m { () => { std::env::var(\"A\") } }",
            "#[cfg(test)] mod tests { use std::collections::HashMap; }",
            "use std::*;",
        ] {
            assert!(!refused_in("protocol/src/sync.rs", text).is_empty(), "{text}");
        }
    }

    #[test]
    fn the_machine_s_own_time_and_ordered_maps_pass() {
        let text = "//! Once `std::time` was named here.\n\
                    use std::collections::BTreeMap; use crate::time::Instant;\n\
                    // HashMap\nfn f(thread: u8) { let s = \"SystemTime\"; log(thread); a != b; }";
        assert_eq!(refused_in("protocol/src/sync.rs", text), []);
    }

    #[test]
    fn the_engine_of_documents_is_named_in_one_module() {
        assert_eq!(refused_in("protocol/src/update/document.rs", "use yrs::Doc;"), []);
        assert_eq!(refused_in("protocol/src/update/document/tests.rs", "use yrs::Doc;"), []);
        assert_eq!(refused_in("protocol/src/update/documents.rs", "use yrs::Doc;").len(), 1);
        assert_eq!(refused_in("protocol/src/update/parse.rs", "fn f(d: yrs::Doc) {}").len(), 1);
    }

    #[test]
    fn the_codec_is_named_in_one_module_and_derived_everywhere() {
        assert_eq!(refused_in("protocol/src/ids.rs", "use bincode::{Decode, Encode};"), []);
        assert_eq!(refused_in("protocol/src/wire.rs", "use bincode::config;"), []);
        assert_eq!(refused_in("protocol/src/ids.rs", "use bincode::{Decode, config};").len(), 1);
    }

    #[test]
    fn other_crates_may_name_the_world() {
        assert_eq!(refused_in("node/src/driver.rs", "use std::time::Instant;"), []);
    }
}
