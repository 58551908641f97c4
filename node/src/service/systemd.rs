//! The unit by which the systemd of a user runs a node or a relay.
//!
//! The process says itself when it is ready and gives signs of life; it can write to its home and
//! to nothing else.

use super::{MARK, Service, command, plain};

/// The unit's file.
pub(super) fn unit(service: &Service) -> Result<String, String> {
    let command = command(service)?;
    // In the program's own path no variables are replaced.
    let command = command.iter().enumerate().map(|(at, word)| quoted(word, at > 0));
    let command: Vec<String> = command.collect();
    let mut writes = vec![quoted(plain(&service.home)?, false)];
    for directory in &service.also_writes {
        writes.push(quoted(plain(directory)?, false));
    }
    Ok(format!(
        "# {MARK}
[Unit]
Description={description}
After=network-online.target
StartLimitIntervalSec=10min
StartLimitBurst=10

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
# What it tells people names people and groups: only its log is kept.
StandardOutput=null
Restart=on-failure
RestartSec=5s
# The first start makes four words, and a start after a crash reads the whole journal.
TimeoutStartSec=10min
# Longer than the program itself waits for what it must write.
TimeoutStopSec=90s
WatchdogSec=60s
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={writes}
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
LimitNOFILE=16384

[Install]
WantedBy=default.target
",
        description = service.role.description(),
        command = command.join(" "),
        writes = writes.join(" "),
    ))
}

/// One word of a line: in quotes, with what the manager would replace spelt out. In a command line
/// it replaces variables too.
fn quoted(word: &str, in_command: bool) -> String {
    let mut text = String::from("\"");
    for character in word.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '%' => text.push_str("%%"),
            '$' if in_command => text.push_str("$$"),
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::service;
    use super::*;

    #[test]
    fn blanks_quotes_and_signs_in_paths_are_spelt_out() {
        let unit = unit(&service("/home/a da/50%\\\"$HOME")).unwrap();
        let line = |start: &str| unit.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
        assert_eq!(
            line("ExecStart="),
            r#"ExecStart="/usr/bin/fourword" "--home" "/home/a da/50%%\\\"$$HOME" "up""#
        );
        assert_eq!(line("ReadWritePaths="), r#"ReadWritePaths="/home/a da/50%%\\\"$HOME""#);
    }

    #[test]
    fn the_unit_is_ready_when_the_node_says_so_and_can_write_to_its_home_alone() {
        let unit = unit(&service("/home/ada")).unwrap();
        for line in [
            "Type=notify",
            "WatchdogSec=60s",
            "Restart=on-failure",
            "NoNewPrivileges=yes",
            "ProtectSystem=strict",
            "ReadWritePaths=\"/home/ada\"",
            "PrivateTmp=yes",
        ] {
            assert!(unit.lines().any(|found| found == line), "{line}");
        }
    }
}
