//! Where a node keeps its things: one directory, the home, with fixed names below it.
//!
//! The command line and the daemon both ask here, so that a client finds the node it belongs to.
//! Invariant: the home and what is below it is open to this user alone (modes 0700 and 0600).

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Longest path of a unix socket that every system takes, in bytes.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// The places of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    home: PathBuf,
    socket: PathBuf,
}

impl Paths {
    /// The places below `home`, or below the default home of this user if none is given.
    ///
    /// `environment` looks a variable up. Fails with words for people if no home can be told.
    pub fn find(
        home: Option<PathBuf>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Paths, String> {
        let directory = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = home
            .or_else(|| directory("FOURWORD_HOME"))
            .or_else(|| directory("XDG_DATA_HOME").map(|data| data.join("fourword")))
            .or_else(|| directory("HOME").map(|home| home.join(default_data()).join("fourword")))
            .ok_or("no home directory is known: give one with --home DIR")?;
        let home = std::path::absolute(&home).map_err(|e| format!("{}: {e}", home.display()))?;
        let socket = socket(&home, directory("XDG_RUNTIME_DIR"))?;
        Ok(Paths { home, socket })
    }

    /// The home itself.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The settings.
    pub fn config(&self) -> PathBuf {
        self.home.join("config.toml")
    }

    /// What exists only while a node runs.
    pub fn run(&self) -> PathBuf {
        self.home.join("run")
    }

    /// The unix socket of the API.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Where a running node says how it is reached.
    pub fn api(&self) -> PathBuf {
        self.run().join("api.json")
    }

    /// The bearer token of the API over TCP.
    pub fn token(&self) -> PathBuf {
        self.run().join("api-token")
    }

    /// What a node started in the background writes.
    pub fn log(&self) -> PathBuf {
        self.home.join("logs").join("fourword.log")
    }

    /// Makes the directories that are missing, open to this user alone.
    pub fn create(&self) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&self.home)?;
        builder.create(self.run())?;
        for file in [self.socket.clone(), self.log()] {
            if let Some(parent) = file.parent() {
                builder.create(parent)?;
            }
        }
        Ok(())
    }
}

fn default_data() -> &'static str {
    if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" }
}

/// The socket stands in the home unless its path would be too long for the system.
fn socket(home: &Path, runtime: Option<PathBuf>) -> Result<PathBuf, String> {
    let socket = home.join("run").join("api.sock");
    if socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return Ok(socket);
    }
    let mut hasher = DefaultHasher::new();
    home.hash(&mut hasher);
    let short =
        runtime.map(|runtime| runtime.join("fourword").join(format!("{:016x}.sock", hasher.finish())));
    short.filter(|short| short.as_os_str().len() <= SOCKET_PATH_BYTES_MAX).ok_or_else(|| {
        format!(
            "the path of the home {} is too long for a socket: choose a shorter one or set XDG_RUNTIME_DIR",
            home.display()
        )
    })
}

/// Replaces a file at once and for good, readable by this user alone.
///
/// A reader sees the old bytes or the new ones, and a power cut leaves one of them.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let draft = parent.join(format!(".{name}.{}", std::process::id()));
    let written = write_whole(&draft, bytes).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // The draft is of no use to anybody; that it may stay behind changes nothing.
        let _ = fs::remove_file(&draft);
    }
    written?;
    fs::File::open(parent)?.sync_all()
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn only(name: &'static str, value: &'static str) -> impl Fn(&str) -> Option<OsString> {
        move |asked| (asked == name).then(|| value.into())
    }

    #[test]
    fn the_flag_outranks_the_variable_which_outranks_the_default() {
        let flag = Paths::find(Some("/a".into()), only("FOURWORD_HOME", "/b")).unwrap();
        assert_eq!(flag.home(), Path::new("/a"));
        let variable = Paths::find(None, only("FOURWORD_HOME", "/b")).unwrap();
        assert_eq!(variable.home(), Path::new("/b"));
        let data = Paths::find(None, only("XDG_DATA_HOME", "/data")).unwrap();
        assert_eq!(data.home(), Path::new("/data/fourword"));
        assert!(Paths::find(None, |_| None).unwrap_err().contains("--home"));
    }

    #[test]
    fn a_home_too_deep_for_a_socket_uses_the_runtime_directory() {
        let deep = PathBuf::from(format!("/{}", "d".repeat(120)));
        let paths = Paths::find(Some(deep.clone()), only("XDG_RUNTIME_DIR", "/run/user/7")).unwrap();
        assert!(paths.socket().starts_with("/run/user/7/fourword"), "{:?}", paths.socket());
        assert!(Paths::find(Some(deep), |_| None).unwrap_err().contains("too long"));
    }

    #[test]
    fn what_is_made_is_closed_to_others() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::find(Some(directory.path().join("home")), |_| None).unwrap();
        paths.create().unwrap();
        replace(&paths.token(), b"secret").unwrap();
        replace(&paths.token(), b"other").unwrap();
        assert_eq!(fs::read(paths.token()).unwrap(), b"other");
        for (path, mode) in [(paths.run(), 0o700), (paths.home().into(), 0o700), (paths.token(), 0o600)] {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{path:?}");
        }
        assert_eq!(fs::read_dir(paths.run()).unwrap().count(), 1, "no draft stays behind");
    }
}
