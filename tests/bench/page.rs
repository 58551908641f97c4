//! Writes figures down: a table as they come, the page of the documents, and JSON.
//!
//! Invariant: beside the figures stands what they were measured with: command, versions, machine,
//! and the load at beginning and end.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde_json::json;

use crate::figures::Summary;
use crate::gauge;
use crate::options::Options;

/// The lines between which the page has its tables.
const MARKS: (&str, &str) =
    ("<!-- measured: scripts/bench writes what follows -->", "<!-- end of measured -->");

/// What was measured so far.
pub(crate) struct Page {
    about: Vec<(&'static str, String)>,
    summaries: Vec<Summary>,
}

impl Page {
    /// Notes with what is measured.
    pub(crate) fn begin(options: &Options, is_apart: bool) -> anyhow::Result<Page> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let build = if cfg!(debug_assertions) { "dev, not for figures" } else { "release" };
        let wire = if is_apart { "counted, in a network namespace with only loopback" } else { "left out" };
        let about = vec![
            ("command", format!("scripts/bench {}", arguments.join(" ")).trim_end().to_owned()),
            ("commit", said("git", &["log", "-1", "--format=%h of %cs"])),
            ("build", format!("{build}, {}", said("rustc", &["--version"]))),
            ("machine", gauge::machine()),
            ("repetitions", options.repetitions.to_string()),
            ("bytes on the wire", wire.to_owned()),
            ("load average at the beginning", format!("{:.1}", gauge::load()?)),
        ];
        Ok(Page { about, summaries: Vec::new() })
    }

    /// Adds the figures of one job, and shows them.
    pub(crate) fn add(&mut self, summaries: Vec<Summary>) -> anyhow::Result<()> {
        for summary in &summaries {
            eprintln!("    {:<58} {:>10} {}", summary.name, number(summary.median), summary.unit);
        }
        self.summaries.extend(summaries);
        Ok(())
    }

    /// Prints the tables, and puts them where the options say.
    pub(crate) fn finish(mut self, options: &Options) -> anyhow::Result<()> {
        self.about.push(("load average at the end", format!("{:.1}", gauge::load()?)));
        let text = self.text();
        print!("{text}");
        if options.write {
            let path = root().join("docs/PERFORMANCE.md");
            let page = std::fs::read_to_string(&path)?;
            std::fs::write(&path, replaced(&page, &text).context("docs/PERFORMANCE.md has no marks")?)?;
        }
        if let Some(path) = &options.json {
            let about: serde_json::Map<_, _> =
                self.about.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
            let all = json!({ "about": about, "figures": self.summaries });
            std::fs::write(path, serde_json::to_string_pretty(&all)?)?;
        }
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.about {
            text.push_str(&format!("- {name}: {value}\n"));
        }
        let mut title = "";
        for summary in &self.summaries {
            if summary.of != title {
                title = &summary.of;
                text.push_str(&format!("\n### {title}\n\n"));
                text.push_str("| figure | median | least to most | to reach |\n|---|---|---|---|\n");
            }
            let Summary { name, unit, median, least, most, target, .. } = summary;
            let (median, least, most) = (number(*median), number(*least), number(*most));
            let target = target.unwrap_or("");
            text.push_str(&format!("| {name} | {median} {unit} | {least} to {most} | {target} |\n"));
        }
        text
    }
}

/// The page with other tables between its marks.
fn replaced(page: &str, tables: &str) -> Option<String> {
    let (before, rest) = page.split_once(MARKS.0)?;
    let (_, after) = rest.split_once(MARKS.1)?;
    Some(format!("{before}{}\n\n{tables}\n{}{after}", MARKS.0, MARKS.1))
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// What a program says in one line.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_the_documents_takes_new_tables_and_keeps_its_words() {
        let page = std::fs::read_to_string(root().join("docs/PERFORMANCE.md")).unwrap_or_default();
        let once = replaced(&page, "| one |").unwrap_or_default();
        let twice = replaced(&once, "| two |").unwrap_or_default();
        assert!(once.contains("| one |") && twice.contains("| two |") && !twice.contains("| one |"));
        let words = page.split(MARKS.0).next().unwrap_or_default();
        assert!(words.contains("# Performance") && twice.starts_with(words));
        assert_eq!(replaced("no marks", ""), None);
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        assert_eq!([0.0, 0.1234, 1.234, 12.34, 123.4].map(number), ["0.00", "0.123", "1.23", "12.3", "123"]);
    }
}
