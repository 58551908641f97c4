//! The text of one file, written from a recording of somebody's typing and watched on other nodes.
//!
//! A recording is JSON: `txns`, each with `patches` of a place, how many UTF-16 units go there and what
//! comes there. Each patch is one command, as an editor would give it at each key.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail};
use flate2::read::GzDecoder;
use fourword::driver::{Asking, Handle};
use fourword_protocol::command::{Command, Notice, Outcome, Reply, TextCommand};
use fourword_protocol::schema::FileId;
use fourword_protocol::update::document::TextEdit;
use fourword_protocol::words::FourWords;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::broadcast::error::RecvError;

use crate::clock::now_ms;
use crate::member::{IN_FLIGHT_MAX, must};

/// The file whose text it is.
const FILE: FileId = FileId(*b"text of workload");

/// Bytes of a recording, unpacked.
const RECORDING_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A text of a group, on a running node.
pub(crate) struct Text<'a> {
    pub(crate) handle: &'a Handle,
    pub(crate) group: FourWords,
}

#[derive(Deserialize)]
struct Recording {
    txns: Vec<Transaction>,
}

#[derive(Deserialize)]
struct Transaction {
    patches: Vec<(u32, u32, String)>,
}

impl Text<'_> {
    /// Makes all edits of a recording, so many at once as may wait for the disk, until all are durable.
    pub(crate) async fn write(&self, recording: &Path) -> anyhow::Result<Value> {
        let edits = read(recording)?;
        self.read().await?;
        let begun = now_ms();
        let mut in_flight = VecDeque::new();
        for edit in edits {
            if in_flight.len() >= IN_FLIGHT_MAX {
                written(in_flight.pop_front()).await?;
            }
            in_flight.push_back(self.handle.begin(self.command(TextCommand::Edit(vec![edit])))?);
        }
        while !in_flight.is_empty() {
            written(in_flight.pop_front()).await?;
        }
        Ok(json!({ "t0": begun, "t1": now_ms() }))
    }

    /// Waits until the text is so long and has this digest, and gives the time since when it has.
    pub(crate) async fn expect(&self, length: u32, sha256: &str) -> anyhow::Result<f64> {
        let mut notices = self.handle.notices();
        let mut may_be = true;
        loop {
            if may_be && hex(&Sha256::digest(self.read().await?)) == sha256 {
                return Ok(now_ms());
            }
            may_be = match notices.recv().await {
                Ok(Notice::TextChanged { entity, file, length: now }) => {
                    (entity, file, now) == (self.group, FILE, length)
                }
                Ok(_) => false,
                Err(RecvError::Lagged(_)) => true,
                Err(RecvError::Closed) => bail!("the node has stopped"),
            };
        }
    }

    /// The text as it is; it is opened if it was not.
    async fn read(&self) -> anyhow::Result<String> {
        match must(self.handle, self.command(TextCommand::Read)).await? {
            Reply::Text(text) => Ok(text),
            other => bail!("a text was asked for and {other:?} was answered"),
        }
    }

    fn command(&self, command: TextCommand) -> Command {
        Command::Text(self.group, FILE, command)
    }
}

/// Waits until an edit is durable.
async fn written(asking: Option<Asking>) -> anyhow::Result<()> {
    match asking.context("no edit is on its way")?.outcome().await? {
        Outcome::Done(_) => Ok(()),
        Outcome::Refused(refusal) => bail!("refused: {}", refusal.message),
    }
}

/// The edits of a recording.
fn read(path: &Path) -> anyhow::Result<Vec<TextEdit>> {
    let open = || File::open(path).with_context(|| format!("opening {}", path.display()));
    let mut first = [0; 2];
    let is_packed = open()?.read_exact(&mut first).is_ok() && first == [0x1f, 0x8b];
    let file = BufReader::new(open()?);
    let unpacked: Box<dyn Read> = if is_packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    let recording: Recording = serde_json::from_reader(BufReader::new(unpacked.take(RECORDING_BYTES_MAX)))
        .with_context(|| format!("{} is no recording", path.display()))?;
    let patches = recording.txns.into_iter().flat_map(|transaction| transaction.patches);
    Ok(patches.map(|(at, removed, inserted)| TextEdit { at, removed, inserted }).collect())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
