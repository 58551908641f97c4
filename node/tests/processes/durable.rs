//! "Saved" is said only after the kernel was made to put the bytes on the disk.
//!
//! A node runs under `strace`; for each message the journal must be written, then flushed with
//! `fdatasync`, and only then may the answer leave. Left out, and said so, where strace is not.

use std::process::Command;

use crate::daemon::{Daemon, Home};

const MESSAGES: usize = 20;

/// What happened to the journal and to askers, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Written,
    Flushed,
    Answered,
}

/// Reads the calls that matter off a trace, each at the moment when it was done: a call that
/// another thread interrupted counts where it is resumed, except that an answer counts where it
/// begins.
fn steps(trace: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut flushing = std::collections::BTreeSet::new();
    for line in trace.lines() {
        let thread = line.split_whitespace().next().unwrap_or_default();
        let journal = line.contains("/journal/");
        let begins = |call: &str| line.contains(&format!(" {call}("));
        if journal && (begins("write") || begins("pwrite64") || begins("writev")) {
            steps.push(Step::Written);
        } else if journal && begins("fdatasync") {
            if line.contains("<unfinished") {
                flushing.insert(thread.to_owned());
            } else if line.ends_with("= 0") {
                steps.push(Step::Flushed);
            }
        } else if line.contains("<... fdatasync resumed>") && flushing.remove(thread) && line.ends_with("= 0")
        {
            steps.push(Step::Flushed);
        } else if line.contains("HTTP/1.1 20") && line.contains(r#"\"id\""#) {
            steps.push(Step::Answered);
        }
    }
    steps
}

#[test]
fn every_answer_saved_comes_after_a_flush_of_what_it_claims() {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("left out: strace is not installed, so nobody can see the flushes");
        return;
    }
    let home = Home::new();
    let trace = home.path().join("trace");
    let node = home.command(&["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"]);
    let mut traced = Command::new("strace");
    traced.args(["-f", "-y", "-s", "300", "-o"]).arg(&trace);
    traced.args(["-e", "trace=write,pwrite64,writev,fdatasync,sendto,sendmsg"]);
    traced.arg(node.get_program()).args(node.get_args());
    for (key, value) in node.get_envs() {
        match value {
            Some(value) => traced.env(key, value),
            None => traced.env_remove(key),
        };
    }
    let daemon = Daemon::wait(traced);
    let group = home.must(&["group", "create", "Tea"])["words"].as_str().expect("words").to_owned();
    let before = std::fs::read_to_string(&trace).expect("a trace").len();
    for i in 0..MESSAGES {
        home.must(&["chat", "send", &group, &format!("message {i}")]);
    }
    home.must(&["stop"]);
    drop(daemon);

    let all = std::fs::read_to_string(&trace).expect("a trace");
    let steps = steps(&all[before..]);
    let answered = steps.iter().filter(|step| **step == Step::Answered).count();
    assert!(answered >= MESSAGES, "{answered} answers were seen: {steps:?}");
    let mut unflushed = true;
    let mut flushes = 0;
    for step in steps {
        match step {
            Step::Written => unflushed = true,
            Step::Flushed => {
                unflushed = false;
                flushes += 1;
            }
            Step::Answered => {
                assert!(!unflushed, "an answer left before its bytes were flushed");
                assert!(flushes > 0, "an answer left without a flush of its own");
                flushes = 0;
            }
        }
    }
}

#[test]
fn an_answer_before_the_flush_would_be_seen() {
    let line = |text: &str| text.to_owned();
    let honest = [
        line("11 write(9</home/journal/1>, \"x\", 1) = 1"),
        line("11 fdatasync(9</home/journal/1> <unfinished ...>"),
        line("12 epoll_wait(3) = 0"),
        line("11 <... fdatasync resumed>) = 0"),
        line(r#"12 writev(7<socket>, "HTTP/1.1 201 Created {\"id\":\"a\"}", 2) = 2"#),
    ];
    let [written, flushing, idle, flushed, answered] = honest;
    let trace = [&written, &flushing, &idle, &flushed, &answered].map(String::as_str).join("\n");
    assert_eq!(steps(&trace), [Step::Written, Step::Flushed, Step::Answered]);
    let early = [&written, &flushing, &answered, &flushed].map(String::as_str).join("\n");
    assert_eq!(steps(&early), [Step::Written, Step::Answered, Step::Flushed]);
}
