//! A person at a real terminal: what is typed as a secret is not shown.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command as Process, Stdio};

use fourword_protocol::command::{Command, DeviceCommand, Reply};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::program::KilledAtEnd;
use crate::script::{Node, words};

/// A terminal: the side where a person sits, and the side of programs.
fn terminal() -> (File, File) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
    // Whoever runs the tests is not to be hung up on together with this terminal.
    let flags = OpenptFlags::NOCTTY.bits().cast_signed();
    let program = File::options().read(true).write(true).custom_flags(flags).open(name).unwrap();
    (person.into(), program)
}

fn shows_what_is_typed(terminal: &File) -> bool {
    tcgetattr(terminal).unwrap().local_modes.contains(LocalModes::ECHO)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_phrase_is_not_shown_while_it_is_typed() {
    let node = Node::replying(Reply::Recovered(words())).await;
    let (mut person, stdin) = terminal();
    assert!(shows_what_is_typed(&stdin));
    let mut process = Process::new(env!("CARGO_BIN_EXE_fourword"));
    process.args(["identity", "recover"]).env_clear().env("FOURWORD_HOME", node.home());
    process.stdin(stdin.try_clone().unwrap()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = KilledAtEnd(process.spawn().unwrap());
    let phrase = ["abandon"; 24].join(" ");
    let typed = format!("{phrase}\n");

    let seen = tokio::task::spawn_blocking(move || {
        let mut prompt = String::new();
        BufReader::new(child.0.stderr.take().unwrap()).read_line(&mut prompt).unwrap();
        assert!(prompt.contains("not shown"), "{prompt}");
        person.write_all(typed.as_bytes()).unwrap();
        let mut seen = [0; 1024];
        let bytes = person.read(&mut seen).unwrap();
        assert!(child.0.wait().unwrap().success());
        (String::from_utf8_lossy(&seen[..bytes]).into_owned(), person)
    });
    let (seen, _person) = seen.await.unwrap();
    assert_eq!(seen, "\r\n", "nothing is seen but the end of the line");
    assert!(shows_what_is_typed(&stdin), "afterwards it is as before");
    let recover = DeviceCommand::Recover { phrase, peers: Vec::new() };
    assert_eq!(node.script.asked(), [(Command::Device(recover), None)]);
}
