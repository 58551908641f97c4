//! `tombstones`: what was deleted and waits to be forgotten, and for whom.

use std::fmt::Write;

use super::Context;
use super::client::path;
use super::failure::{Exit, Failure};
use super::output::time;
use crate::api::tombstones::{Standing, Tombstone, Tombstones};

/// What `tombstones` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fourword tombstones ocean-forest-moon-star\n  fourword tombstones ocean-forest-moon-star --json"
)]
pub(super) struct Args {
    /// The group's four words.
    words: String,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let tombstones: Tombstones = context.client().get(&path(["groups", &args.words, "tombstones"])).await?;
    context.output.answer(&tombstones, text)?;
    Ok(Exit::Done)
}

fn text(tombstones: &Tombstones) -> String {
    let mut text = String::new();
    for document in &tombstones.documents {
        let _ = writeln!(
            text,
            "{}  {} to be forgotten, {} forgotten",
            document.id,
            waiting(document.waiting),
            document.pruned
        );
        for keeper in &document.devices {
            let state = match keeper.state {
                Standing::HasAll => continue,
                Standing::Awaited => "is awaited",
                Standing::Lapsed => "was awaited for too long and is no more",
                Standing::Stopped => "keeps this no longer",
            };
            let since = keeper.since.map(|since| format!(", since {} UTC", time(since))).unwrap_or_default();
            let _ = writeln!(text, "  {} ({})  {state}{since}", keeper.identity, short(&keeper.device));
        }
        for tombstone in &document.tombstones {
            let _ = writeln!(text, "  {}", line(tombstone));
        }
        let more = document.waiting.saturating_sub(u64::try_from(document.tombstones.len()).unwrap_or(0));
        if more > 0 {
            let _ = writeln!(text, "  and {more} more");
        }
    }
    if text.is_empty() {
        "There is nothing here in which anything is deleted.".into()
    } else {
        text.trim_end().into()
    }
}

fn waiting(count: u64) -> String {
    match count {
        0 => "nothing deleted waits".into(),
        1 => "1 deleted message waits".into(),
        count => format!("{count} deleted messages wait"),
    }
}

fn line(tombstone: &Tombstone) -> String {
    let lacks = tombstone.ack_vector.iter().filter(|(_, has)| !**has);
    let lacks: Vec<String> = lacks.map(|(device, _)| short(device)).collect();
    let (all, known) = (tombstone.ack_vector.len(), tombstone.ack_vector.len().saturating_sub(lacks.len()));
    let lacking = if lacks.is_empty() { String::new() } else { format!("; not to {}", lacks.join(", ")) };
    format!("{}  known to {known} of {all} devices{lacking}", tombstone.message)
}

fn short(device: &str) -> String {
    device.chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::tombstones::{Document, Keeper};

    #[test]
    fn what_waits_is_shown_with_who_is_awaited_since_when() {
        let device = |digit: char| String::from(digit).repeat(64);
        let keeper = |digit, state, since| Keeper {
            identity: format!("{digit}-b-c-d"),
            device: device(digit),
            state,
            since,
        };
        let document = Document {
            id: "group:a-b-c-d:chat".into(),
            waiting: 2,
            pruned: 7,
            devices: vec![keeper('1', Standing::HasAll, None), keeper('2', Standing::Awaited, Some(60_000))],
            tombstones: vec![Tombstone {
                message: "m".into(),
                ack_vector: BTreeMap::from([(device('1'), true), (device('2'), false)]),
            }],
        };
        let none = Document { waiting: 0, devices: Vec::new(), tombstones: Vec::new(), ..document.clone() };
        let shown = text(&Tombstones { documents: vec![document, none] });
        assert_eq!(
            shown,
            "group:a-b-c-d:chat  2 deleted messages wait to be forgotten, 7 forgotten\n\
             \x20 2-b-c-d (22222222)  is awaited, since 1970-01-01 00:01 UTC\n\
             \x20 m  known to 1 of 2 devices; not to 22222222\n\
             \x20 and 1 more\n\
             group:a-b-c-d:chat  nothing deleted waits to be forgotten, 7 forgotten"
        );
    }
}
