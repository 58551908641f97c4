//! What can be chosen: parts, repetitions, sizes, and where figures go.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, ValueEnum};

/// Measures nodes: real processes, real disk, loopback only. Prints tables of medians with least and
/// most, and asserts no time.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "scripts/bench",
    after_help = "Examples:\n  scripts/bench --write\n  \
    scripts/bench --parts w1,w2 --repetitions 5\n  scripts/bench --parts w2,w3,w7,w5,w8 --growth"
)]
pub(crate) struct Options {
    /// What is measured.
    #[arg(long, value_delimiter = ',', default_values_t = Part::value_variants().to_vec())]
    pub(crate) parts: Vec<Part>,
    /// How often each is repeated; W8 and W9 run once.
    #[arg(long, default_value_t = 3)]
    pub(crate) repetitions: usize,
    /// Messages of W2, W3 and W7.
    #[arg(long, value_delimiter = ',', default_value = "10000")]
    pub(crate) messages: Vec<u64>,
    /// A recording of somebody's typing for W4, as JSON, packed with gzip or not: `txns` with `patches`, and
    /// `endContent`. Without it one is made up.
    #[arg(long)]
    pub(crate) trace: Option<PathBuf>,
    /// Nodes of W5.
    #[arg(long, value_delimiter = ',', default_value = "8,16")]
    pub(crate) nodes: Vec<usize>,
    /// Groups of W8.
    #[arg(long, value_delimiter = ',', default_value = "5")]
    pub(crate) groups: Vec<usize>,
    /// Seconds for which W8 watches.
    #[arg(long, default_value_t = 60)]
    pub(crate) idle_seconds: u64,
    /// Kills of W9.
    #[arg(long, default_value_t = 100)]
    pub(crate) kills: usize,
    /// Several sizes of each, to see how figures grow: 1,000 to 100,000 messages, 4 to 32 nodes, 1 to
    /// 100 groups.
    #[arg(long)]
    pub(crate) growth: bool,
    /// Everything once and small, in seconds: shows that all of it runs, and nothing else.
    #[arg(long)]
    pub(crate) small: bool,
    /// Where homes are made: on the disk to be measured.
    #[arg(long)]
    pub(crate) scratch: Option<PathBuf>,
    /// Another program to measure, which speaks the lines of the bench node.
    #[arg(long)]
    pub(crate) node: Option<PathBuf>,
    /// Writes all figures as JSON into this file.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Writes the tables into docs/PERFORMANCE.md.
    #[arg(long)]
    pub(crate) write: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// What the machine and the libraries need at least.
    Floors,
    /// Live latency between two nodes.
    W1,
    /// Live throughput between two nodes.
    W2,
    /// A newcomer takes everything.
    W3,
    /// A text that is typed.
    W4,
    /// Fan-out to many nodes.
    W5,
    /// A partition heals.
    W7,
    /// Nodes at rest.
    W8,
    /// Kills after acknowledgements.
    W9,
    /// A start on a home with many groups.
    Start,
    /// Size, loading time and memory of documents.
    Documents,
    /// Pages, searches and counts by the copy that is kept for reading.
    Reading,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map(clap::builder::PossibleValue::get_name).unwrap_or_default())
    }
}

impl Options {
    /// With what `--growth` and `--small` stand for.
    pub(crate) fn resolved(mut self) -> Options {
        if self.growth {
            self.messages = vec![1000, 10_000, 100_000];
            self.nodes = vec![4, 8, 16, 32];
            self.groups = vec![1, 10, 100];
        }
        if self.small {
            self.repetitions = 1;
            self.messages = vec![200];
            self.nodes = vec![3];
            self.groups = vec![1];
            self.idle_seconds = 1;
            self.kills = 2;
        }
        self
    }

    /// The bench node: the one named, or the one that was built beside this program.
    pub(crate) fn program(&self) -> anyhow::Result<PathBuf> {
        match &self.node {
            Some(program) => Ok(program.clone()),
            None => {
                Ok(std::env::current_exe()?.parent().context("this program is nowhere")?.join("bench-node"))
            }
        }
    }
}
