//! What the node says of its doings: to standard error, never with a key or what people wrote.
//!
//! The filter comes from FOURWORD_LOG or the settings, in the syntax of `tracing`, in which the
//! subsystems below may stand for the targets that they consist of (`info,network=debug`). While
//! the node runs, levels are changed through [`Levels`]; a restart returns to the settings.
//! Invariant: what is set at run time names known subsystems and levels alone, so that no filter
//! from outside is ever built.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt as lines, reload};

/// Bytes of the longest filter that is read.
const FILTER_BYTES_MAX: usize = 4096;

/// The parts of a node that have a level of their own: name, targets, and what they tell of.
pub const SUBSYSTEMS: [(&str, &[&str], &str); 9] = [
    ("network", &["fourword::swarm"], "connections, dialling, relays, searches"),
    ("relay", &["fourword::relay"], "what a relay does"),
    ("node", &["fourword::daemon", "fourword::cli"], "start, stop, signals"),
    ("driver", &["fourword::driver"], "between machine, store and network"),
    ("api", &["fourword::api"], "requests of programs on this device"),
    ("gossip", &["libp2p_gossipsub"], "the library's gossip"),
    ("find", &["libp2p_kad", "libp2p_mdns"], "the library's searches"),
    ("circuits", &["libp2p_relay", "libp2p_dcutr", "libp2p_autonat"], "circuits and direct ways"),
    ("transport", &["libp2p_swarm", "libp2p_tcp", "libp2p_quic", "quinn"], "the library's connections"),
];

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for programs.
    Json,
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing.
    Off,
    /// What went wrong.
    Error,
    /// What may be going wrong.
    Warn,
    /// What happens seldom.
    Info,
    /// What happens often.
    Debug,
    /// Everything.
    Trace,
}

/// What is to be changed of the levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The level of all that has none of its own.
    All(Level),
    /// The level of one subsystem.
    One(&'static str, Level),
    /// Back to the settings.
    Reset,
}

/// The levels of the running process.
#[derive(Clone)]
pub struct Levels {
    settings: String,
    changed: Arc<Mutex<Changed>>,
    reload: Option<reload::Handle<EnvFilter, Registry>>,
}

#[derive(Clone, Default)]
struct Changed {
    all: Option<Level>,
    of: BTreeMap<&'static str, Level>,
}

/// The levels, as they are shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// The filter of the settings.
    pub settings: String,
    /// Whether something was changed since the start.
    pub changed: bool,
    /// The level of what belongs to no subsystem; null where the settings' filter is too fine to tell.
    pub others: Option<Level>,
    /// The subsystems.
    pub subsystems: Vec<Subsystem>,
}

/// One subsystem and its level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subsystem {
    /// Its name.
    pub name: String,
    /// Its level; null where the settings' filter is too fine to tell.
    pub level: Option<Level>,
    /// What it tells of.
    pub about: String,
}

/// Starts logging and gives the levels to change. Fails if the filter cannot be read; a second
/// start in one process changes nothing.
pub fn start(filter: &str, format: Format) -> Result<Levels, String> {
    let (layer, handle) = reload::Layer::new(read(filter)?);
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = lines::layer().with_writer(std::io::stderr);
    let lines = match format {
        Format::Text => lines.with_ansi(colours).boxed(),
        Format::Json => lines.json().boxed(),
    };
    let started = tracing_subscriber::registry().with(layer).with(lines).try_init().is_ok();
    Ok(Levels { settings: filter.to_owned(), changed: Arc::default(), reload: started.then_some(handle) })
}

/// Whether a filter can be read.
pub fn check(filter: &str) -> Result<(), String> {
    read(filter).map(drop)
}

fn read(filter: &str) -> Result<EnvFilter, String> {
    if filter.len() > FILTER_BYTES_MAX {
        return Err(format!("the log filter is longer than {FILTER_BYTES_MAX} bytes"));
    }
    EnvFilter::builder()
        .parse(targets(filter))
        .map_err(|e| format!("the log filter \"{filter}\" cannot be read ({e}); try \"info\" or \"debug\""))
}

/// A filter with the targets of subsystems in the place of their names.
fn targets(filter: &str) -> String {
    let directive = |directive: &str| {
        let known = directive.split_once('=').and_then(|(name, level)| {
            let (_, targets, _) = SUBSYSTEMS.iter().find(|(known, _, _)| *known == name.trim())?;
            Some(targets.iter().map(|target| format!("{target}={level}")).collect::<Vec<_>>().join(","))
        });
        known.unwrap_or_else(|| directive.to_owned())
    };
    filter.split(',').map(directive).collect::<Vec<_>>().join(",")
}

impl Levels {
    /// Carries out changes, in order.
    pub fn change(&self, changes: &[Change]) -> Result<(), String> {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted = changed.clone();
        for change in changes {
            match change {
                Change::All(level) => wanted.all = Some(*level),
                Change::One(name, level) => drop(wanted.of.insert(*name, *level)),
                Change::Reset => wanted = Changed::default(),
            }
        }
        let filter = read(&self.filter(&wanted))?;
        let reload = self.reload.as_ref().ok_or("this process logs under another's levels")?;
        reload.reload(filter).map_err(|e| format!("the levels cannot be changed: {e}"))?;
        *changed = wanted;
        Ok(())
    }

    /// The levels as they are.
    pub fn shown(&self) -> Shown {
        let changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        // What goes by spans and fields has no one level for a target.
        let filter = targets(&self.filter(&changed));
        let filter = if filter.contains('[') { None } else { filter.parse::<Targets>().ok() };
        let level = |target: &str| filter.as_ref().map(|filter| level_of(filter, target));
        let subsystem = |(name, targets, about): &(&str, &[&str], &str)| Subsystem {
            name: (*name).to_owned(),
            level: targets.first().and_then(|target| level(target)),
            about: (*about).to_owned(),
        };
        Shown {
            settings: self.settings.clone(),
            changed: changed.all.is_some() || !changed.of.is_empty(),
            others: level(""),
            subsystems: SUBSYSTEMS.iter().map(subsystem).collect(),
        }
    }

    fn filter(&self, changed: &Changed) -> String {
        let base = changed.all.map_or_else(|| self.settings.clone(), |level| level.to_string());
        changed.of.iter().fold(base, |filter, (name, level)| format!("{filter},{name}={level}"))
    }
}

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Levels").field(&self.settings).finish()
    }
}

fn level_of(filter: &Targets, target: &str) -> Level {
    let levels = [
        (tracing::Level::TRACE, Level::Trace),
        (tracing::Level::DEBUG, Level::Debug),
        (tracing::Level::INFO, Level::Info),
        (tracing::Level::WARN, Level::Warn),
        (tracing::Level::ERROR, Level::Error),
    ];
    let found = levels.iter().find(|(level, _)| filter.would_enable(target, level));
    found.map_or(Level::Off, |(_, level)| *level)
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Level, String> {
        [Level::Off, Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace]
            .into_iter()
            .find(|level| level.to_string() == text)
            .ok_or_else(|| {
                format!("\"{}\" is no level: off, error, warn, info, debug or trace", start_of(text))
            })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Off => "off",
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        })
    }
}

impl FromStr for Change {
    type Err = String;

    /// Reads `LEVEL`, `SUBSYSTEM=LEVEL` or `reset`.
    fn from_str(text: &str) -> Result<Change, String> {
        if text == "reset" {
            return Ok(Change::Reset);
        }
        let Some((name, level)) = text.split_once('=') else { return text.parse().map(Change::All) };
        let known = SUBSYSTEMS.iter().find(|(known, _, _)| *known == name).map(|(name, _, _)| *name);
        let names = || SUBSYSTEMS.map(|(name, _, _)| name).join(", ");
        let name =
            known.ok_or_else(|| format!("there is no subsystem \"{}\": {}", start_of(name), names()))?;
        Ok(Change::One(name, level.parse()?))
    }
}

/// As much of a text as is shown when it is refused.
fn start_of(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Levels, and the layer that they change as long as it lives.
    fn levels(settings: &str) -> (Levels, reload::Layer<EnvFilter, Registry>) {
        let (layer, handle) = reload::Layer::new(read(settings).unwrap());
        (Levels { settings: settings.into(), changed: Arc::default(), reload: Some(handle) }, layer)
    }

    fn level(levels: &Levels, name: &str) -> Option<Level> {
        levels.shown().subsystems.iter().find(|shown| shown.name == name).and_then(|shown| shown.level)
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_refused() {
        assert_eq!(check("info,fourword::api=debug"), Ok(()));
        assert_eq!(check("info,network=debug"), Ok(()));
        assert!(check("fourword=loudest").unwrap_err().contains("loudest"));
        assert!(check("network=loudest").unwrap_err().contains("loudest"));
        assert!(check(&"a".repeat(FILTER_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn a_subsystem_stands_for_its_targets() {
        assert_eq!(targets("warn,find=debug,x=info"), "warn,libp2p_kad=debug,libp2p_mdns=debug,x=info");
    }

    #[test]
    fn what_names_no_subsystem_and_level_is_no_change() {
        assert_eq!("debug".parse(), Ok(Change::All(Level::Debug)));
        assert_eq!("network=trace".parse(), Ok(Change::One("network", Level::Trace)));
        let long = "x".repeat(1 << 20);
        for wrong in
            ["", "loud", "DEBUG", "network=", "=debug", "network=debug,api=debug", "[{a=.*}]=trace", &long]
        {
            let reason = wrong.parse::<Change>().unwrap_err();
            assert!(reason.len() < 300, "{reason}");
        }
    }

    #[test]
    fn subsystems_change_by_themselves_and_return_to_the_settings() {
        let (levels, layer) = levels("info,libp2p_swarm=warn,api=debug");
        assert_eq!(level(&levels, "api"), Some(Level::Debug));
        assert_eq!(level(&levels, "transport"), Some(Level::Warn));
        assert_eq!(level(&levels, "network"), Some(Level::Info));
        assert!(!levels.shown().changed);

        levels.change(&["network=trace".parse().unwrap(), "transport=off".parse().unwrap()]).unwrap();
        assert_eq!(level(&levels, "network"), Some(Level::Trace));
        assert_eq!(level(&levels, "transport"), Some(Level::Off));
        assert_eq!(level(&levels, "api"), Some(Level::Debug));
        levels.change(&[Change::All(Level::Error)]).unwrap();
        assert_eq!(level(&levels, "network"), Some(Level::Trace));
        assert_eq!(level(&levels, "api"), Some(Level::Error));

        levels.change(&[Change::Reset]).unwrap();
        assert_eq!(level(&levels, "network"), Some(Level::Info));
        assert!(!levels.shown().changed);
        drop(layer);
        assert!(levels.change(&[Change::All(Level::Error)]).is_err());
        assert!(!levels.shown().changed, "what did not come to pass is not shown");
    }

    #[test]
    fn a_filter_too_fine_to_tell_is_not_guessed() {
        assert_eq!(level(&levels("info,[span]=debug").0, "api"), None);
    }
}
