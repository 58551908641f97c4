//! `canvas export`: a canvas as a picture in a file.

use std::path::PathBuf;

use serde::Serialize;

use super::Context;
use super::client::path;
use super::failure::{Exit, Failure};

/// What `canvas export` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  fourword canvas export ocean-forest-moon-star --svg plan.svg\n  fourword canvas export ocean-forest-moon-star --png plan.png"
)]
pub(super) struct Export {
    /// The group's four words.
    words: String,
    /// Write SVG into this file.
    #[arg(long, value_name = "FILE", required_unless_present = "png")]
    svg: Option<PathBuf>,
    /// Write PNG into this file.
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    files: Vec<PathBuf>,
    bytes: usize,
}

pub(super) async fn export(args: Export, context: &Context) -> Result<Exit, Failure> {
    let Export { words, svg, png } = args;
    let mut written = Written { files: Vec::new(), bytes: 0 };
    for (file, name) in [(svg, "svg"), (png, "png")] {
        let Some(file) = file else { continue };
        let bytes = context.client().bytes(&path(["groups", &words, "canvas", name])).await?;
        std::fs::write(&file, &bytes)
            .map_err(|error| Failure::usage(format!("cannot write {}: {error}", file.display())))?;
        written.bytes = written.bytes.saturating_add(bytes.len());
        written.files.push(file);
    }
    context.output.answer(&written, text)?;
    Ok(Exit::Done)
}

fn text(written: &Written) -> String {
    let lines = written.files.iter().map(|file| format!("Wrote {}", file.display()));
    lines.collect::<Vec<_>>().join("\n")
}
