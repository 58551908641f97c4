//! What a bench node can be asked, one JSON object a line.

use std::path::PathBuf;

use serde::Deserialize;

/// A request and the number that its answer carries.
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    /// Chosen by the asker.
    #[serde(rename = "n_")]
    pub(crate) number: u64,
    /// What is asked.
    #[serde(flatten)]
    pub(crate) op: Op,
}

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Op {
    /// Start the node in a directory, and found or join the group.
    Init {
        /// The letter in the ids of its messages.
        writer: char,
        /// Its home.
        dir: Option<PathBuf>,
        /// Addresses of nodes that run already.
        #[serde(default)]
        peers: Vec<String>,
        /// The link of the group, or nothing for who founds it.
        doc: Option<String>,
    },
    /// Write one message.
    #[serde(alias = "put_acked")]
    Put {
        /// Its number.
        i: u64,
    },
    /// Write many messages as fast as they are taken.
    Burst {
        /// The first number.
        from: u64,
        /// How many.
        n: u64,
    },
    /// Say of each new message that it is there, or of none.
    Each {
        /// Which.
        on: bool,
    },
    /// Say when so many messages are there.
    Expect {
        /// How many.
        n: usize,
    },
    /// Say whether a message is there.
    Has {
        /// Its writer.
        w: char,
        /// Its number.
        i: u64,
    },
    /// Write the edits of a recorded text, one after the other, each as a change of its own.
    Trace {
        /// JSON, packed with gzip or not: see `text`.
        file: PathBuf,
    },
    /// Say when the text is so long and its SHA-256 is this.
    ExpectText {
        /// In UTF-16 units.
        len: u32,
        /// In hexadecimal digits.
        sha: String,
    },
    /// Lose the network.
    Offline,
    /// Have the network back.
    Online,
    /// Found further groups and fill them, or join those of the tickets.
    Idle {
        /// How many documents: a group has two.
        docs: usize,
        /// Their links, for who joins.
        #[serde(default)]
        tickets: Option<Vec<String>>,
    },
    /// Tell what the node counts.
    Info,
    /// Stop in good order.
    Quit,
}
