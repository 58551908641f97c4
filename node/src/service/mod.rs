//! The files by which a service manager runs a node or a relay: what they say and where they lie.
//!
//! `cli` writes them and speaks to the manager. `systemd` and `launchd` each turn a [`Service`]
//! into a file. Invariant: every path is quoted by the manager's own rules, and one that cannot be
//! is refused, so that no path can become another setting.

mod launchd;
mod systemd;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The first line of what we write: only files that have it are replaced or removed.
pub const MARK: &str = "Written by `fourword service install`; changes belong in a drop-in.";

/// Which program the service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A node of this user.
    Node,
    /// A relay.
    Relay,
}

/// Who manages services on this system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// The systemd of this user.
    Systemd,
    /// The launchd of this user.
    Launchd,
}

/// What is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Node or relay.
    pub role: Role,
    /// The program.
    pub program: PathBuf,
    /// The home.
    pub home: PathBuf,
    /// Directories beside the home that it writes to.
    pub also_writes: Vec<PathBuf>,
    /// Arguments behind the verb.
    pub arguments: Vec<String>,
}

impl Role {
    /// The name of the service.
    pub fn name(self) -> &'static str {
        match self {
            Role::Node => "fourword",
            Role::Relay => "fourword-relay",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Role::Node => "up",
            Role::Relay => "relay",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Role::Node => "Fourword node",
            Role::Relay => "Fourword relay",
        }
    }
}

impl Manager {
    /// The one of this system.
    pub fn here() -> Manager {
        if cfg!(target_os = "macos") { Manager::Launchd } else { Manager::Systemd }
    }

    /// Where the file of a service lies. `environment` looks a variable up.
    pub fn file(self, role: Role, environment: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, String> {
        let directory = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home =
            || directory("HOME").ok_or("HOME is not set, so there is no place for the file".to_owned());
        match self {
            Manager::Systemd => {
                let config = match directory("XDG_CONFIG_HOME") {
                    Some(config) => config,
                    None => home()?.join(".config"),
                };
                Ok(config.join("systemd/user").join(format!("{}.service", role.name())))
            }
            Manager::Launchd => {
                Ok(home()?.join("Library/LaunchAgents").join(format!("{}.plist", label(role))))
            }
        }
    }

    /// What the file of a service says. Fails with words for people if a path cannot stand in it.
    pub fn text(self, service: &Service) -> Result<String, String> {
        match self {
            Manager::Systemd => systemd::unit(service),
            Manager::Launchd => launchd::agent(service),
        }
    }

    /// The commands that bring the service up once its file is written.
    pub fn begin(self, role: Role, file: &Path) -> Vec<Vec<String>> {
        match self {
            Manager::Systemd => {
                let name = format!("{}.service", role.name());
                vec![
                    words(&["systemctl", "--user", "daemon-reload"]),
                    words(&["systemctl", "--user", "enable", "--now", &name]),
                ]
            }
            Manager::Launchd => {
                vec![words(&["launchctl", "load", "-w", &file.to_string_lossy()])]
            }
        }
    }

    /// The commands that end it before its file is removed.
    pub fn end(self, role: Role, file: &Path) -> Vec<Vec<String>> {
        match self {
            Manager::Systemd => {
                let name = format!("{}.service", role.name());
                vec![words(&["systemctl", "--user", "disable", "--now", &name])]
            }
            Manager::Launchd => vec![words(&["launchctl", "unload", "-w", &file.to_string_lossy()])],
        }
    }

    /// The command that succeeds while it runs.
    pub fn is_active(self, role: Role) -> Vec<String> {
        match self {
            Manager::Systemd => {
                words(&["systemctl", "--user", "is-active", "--quiet", &format!("{}.service", role.name())])
            }
            Manager::Launchd => words(&["launchctl", "list", &label(role)]),
        }
    }
}

/// The name of an agent of launchd.
fn label(role: Role) -> String {
    format!("org.{}", role.name().replace('-', "."))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A path as text. Fails for what has control characters in it or is no UTF-8.
fn plain(path: &Path) -> Result<&str, String> {
    let text = path.to_str().filter(|text| !text.chars().any(char::is_control));
    text.ok_or_else(|| format!("the path {} cannot stand in a service file", path.display()))
}

/// The command line of a service.
fn command(service: &Service) -> Result<Vec<String>, String> {
    let mut command = words(&[plain(&service.program)?, "--home", plain(&service.home)?]);
    command.push(service.role.verb().to_owned());
    for argument in &service.arguments {
        command.push(plain(Path::new(argument))?.to_owned());
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn service(home: &str) -> Service {
        Service {
            role: Role::Node,
            program: "/usr/bin/fourword".into(),
            home: home.into(),
            also_writes: Vec::new(),
            arguments: Vec::new(),
        }
    }

    #[test]
    fn a_path_that_could_become_another_line_is_refused() {
        for manager in [Manager::Systemd, Manager::Launchd] {
            assert!(manager.text(&service("/home/ada\nExecStartPre=/bin/true")).is_err());
            assert!(manager.text(&service("/home/ada")).unwrap().contains(MARK));
            let relay = Service { arguments: vec!["a\nb".into()], ..service("/home/ada") };
            assert!(manager.text(&relay).is_err());
        }
    }

    #[test]
    fn files_lie_where_the_manager_looks() {
        let home = |name: &str| (name == "HOME").then(|| "/home/ada".into());
        let unit = Manager::Systemd.file(Role::Relay, home).unwrap();
        assert_eq!(unit, Path::new("/home/ada/.config/systemd/user/fourword-relay.service"));
        let config = |name: &str| (name == "XDG_CONFIG_HOME").then(|| "/etc/ada".into());
        let unit = Manager::Systemd.file(Role::Node, config).unwrap();
        assert_eq!(unit, Path::new("/etc/ada/systemd/user/fourword.service"));
        let agent = Manager::Launchd.file(Role::Relay, home).unwrap();
        assert_eq!(agent, Path::new("/home/ada/Library/LaunchAgents/org.fourword.relay.plist"));
        assert!(Manager::Systemd.file(Role::Node, |_| None).is_err());
    }
}
