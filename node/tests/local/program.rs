//! The program itself, run as scripts run it, and what it left.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};

use serde_json::Value;

use crate::script::Node;

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        let mut lines = self.out.lines();
        let value = serde_json::from_str(lines.next().unwrap_or_default());
        assert_eq!(lines.next(), None, "one value and nothing else: {self:?}");
        value.unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub(crate) fn error(&self) -> Value {
        assert_eq!(self.out, "", "a failure prints no answer");
        serde_json::from_str(self.err.trim()).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

pub(crate) fn program(home: &Path, arguments: &[&str]) -> Process {
    let mut process = Process::new(env!("CARGO_BIN_EXE_fourword"));
    process.args(arguments).env_clear().env("FOURWORD_HOME", home);
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    process
}

pub(crate) fn finish(mut child: Child, input: &str) -> Ran {
    // The program may end without reading: then the pipe is closed already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn run_alone(home: &Path, arguments: &[&str]) -> Ran {
    finish(program(home, arguments).spawn().unwrap(), "")
}

pub(crate) async fn run_with(node: &Node, arguments: &[&str], input: &str) -> Ran {
    let child = program(&node.home(), arguments).spawn().unwrap();
    let input = input.to_owned();
    tokio::task::spawn_blocking(move || finish(child, &input)).await.unwrap()
}

pub(crate) async fn run(node: &Node, arguments: &[&str]) -> Ran {
    run_with(node, arguments, "").await
}

/// A child that does not outlive a failed test.
pub(crate) struct KilledAtEnd(pub(crate) Child);

impl Drop for KilledAtEnd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
