//! Changes to directories that survive a power cut: each ends with a flush of the directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Flushes a directory, so that the names in it are as they were left.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes a directory only its owner may enter, and those above it; one that exists is left as it is.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent(path);
    if parent != path {
        make_directory(parent)?;
    }
    fs::DirBuilder::new().mode(0o700).create(path)?;
    sync_directory(parent)
}

/// Makes a file that must not exist yet, readable by its owner alone.
pub(crate) fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Puts a whole file in place: readers see the old one or the new one, never a part.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    remove_if_there(&draft)?;
    let mut file = new_file(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    rename(&draft, path)
}

/// Gives a file or directory another name beside the old one.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_directory(parent(to))
}

/// Removes a file; says whether there was one.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => sync_directory(parent(path)).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Renames what is damaged to `NAME.damaged`, or `NAME.damaged-2` and so on: nothing is lost.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let free = (1..=u32::MAX)
        .map(|n| path.with_extension(if n == 1 { "damaged".into() } else { format!("damaged-{n}") }))
        .find(|path| !path.exists())
        .ok_or(io::ErrorKind::AlreadyExists)?;
    rename(path, &free)?;
    Ok(free)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
