//! `config`: the settings of this home, whether a node runs or not.

use serde_json::{Value, json};

use super::Context;
use super::failure::{Exit, Failure};
use crate::config::{self, Settings};

/// What can be done with the settings.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Show all settings of the file, or one.
    #[command(after_help = "Examples:\n  fourword config get\n  fourword config get listen")]
    Get {
        /// Which.
        key: Option<String>,
    },
    /// Change one setting; it counts from the next start.
    #[command(
        after_help = "Examples:\n  fourword config set log debug\n  fourword config set listen /ip4/0.0.0.0/udp/4001/quic-v1,/ip4/0.0.0.0/tcp/4001"
    )]
    Set {
        /// Which.
        key: String,
        /// Its new value; lists with commas between their items.
        value: String,
    },
    /// Print a JSON Schema of the file.
    #[command(after_help = "Example:\n  fourword config schema > config.schema.json")]
    Schema,
}

pub(super) fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    let (path, output) = (context.paths.config(), context.output);
    match verb {
        Verb::Get { key } => {
            let value = Settings::load(&path)?.get(key.as_deref())?;
            output.answer(&value, text)?;
        }
        Verb::Set { key, value } => {
            let made = context.paths.create();
            made.map_err(|e| Failure::internal(format!("{}: {e}", context.paths.home().display())))?;
            config::set(&path, &key, &value)?;
            let value = Settings::load(&path)?.get(Some(&key))?;
            output.answer(&json!({&key: value}), text)?;
            output.note("It counts from the next start.");
        }
        Verb::Schema => output.answer(&config::schema(), |schema| format!("{schema:#}"))?,
    }
    Ok(Exit::Done)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Object(keys) => {
            keys.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    }
}
