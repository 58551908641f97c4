//! What the rules look at: the text of every file of the repository that people wrote.
//!
//! Build output, hidden folders other than `.ci`, and binary files are left out. Paths are
//! relative to the root, with `/`, so that findings read the same on every machine.

use std::fmt;
use std::path::{Path, PathBuf};

const TEXT_ENDINGS: [&str; 9] = ["rs", "toml", "lock", "md", "sh", "bash", "yml", "html", "js"];
const SCRIPT_FOLDERS: [&str; 2] = ["scripts/", ".ci/"];

/// One place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Path, or the name of what has no path.
    pub(crate) place: String,
    /// From 1; 0 where no line is to blame.
    pub(crate) line: usize,
    /// What is wrong, and what to do about it.
    pub(crate) what: String,
}

impl Finding {
    /// A finding at a line.
    pub(crate) fn at(place: &str, line: usize, what: impl Into<String>) -> Finding {
        Finding { place: place.to_owned(), line, what: what.into() }
    }

    /// A finding about a whole file or package.
    pub(crate) fn of(place: &str, what: impl Into<String>) -> Finding {
        Finding::at(place, 0, what)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.place, self.what),
            line => write!(f, "{}:{line}: {}", self.place, self.what),
        }
    }
}

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
}

/// All files, sorted by path.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// Every file that is text.
    pub(crate) files: Vec<Source>,
}

impl Tree {
    /// Reads the repository at `root`. What cannot be read is left out, and the test of the walk
    /// says so.
    pub(crate) fn read(root: PathBuf) -> Tree {
        let mut files = Vec::new();
        walk(&root, &root, &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Tree { files }
    }

    /// A tree of one file, for tests of the rules.
    pub(crate) fn of(path: &str, text: &str) -> Tree {
        Tree { files: vec![Source { path: path.to_owned(), text: text.to_owned() }] }
    }

    /// The same tree with another file.
    pub(crate) fn with(mut self, path: &str, text: &str) -> Tree {
        self.files.extend(Tree::of(path, text).files);
        self
    }

    /// All Rust sources.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// One file's text.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<Source>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let skipped = name == "target" || name == "node_modules" || (name.starts_with('.') && name != ".ci");
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && !skipped {
            walk(root, &path, files);
        } else if kind.is_file() {
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            if is_text(&relative)
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                files.push(Source { path: relative, text });
            }
        }
    }
}

fn is_text(path: &str) -> bool {
    match path.rsplit('/').next().unwrap_or(path).rsplit_once('.') {
        Some((_, ending)) => TEXT_ENDINGS.contains(&ending),
        None => SCRIPT_FOLDERS.iter().any(|folder| path.starts_with(folder)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_text_without_an_ending_and_licences_are_left_alone() {
        assert!(is_text("scripts/run"));
        assert!(is_text(".ci/run"));
        assert!(is_text("docs/ARCHITECTURE.md"));
        assert!(!is_text("LICENSE-MIT"));
        assert!(!is_text("node/web/logo.png"));
    }

    #[test]
    fn a_finding_reads_as_path_and_line() {
        assert_eq!(Finding::at("a.rs", 3, "is bad").to_string(), "a.rs:3: is bad");
        assert_eq!(Finding::of("a.rs", "is bad").to_string(), "a.rs: is bad");
    }
}
