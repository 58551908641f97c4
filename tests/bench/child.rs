//! One bench node as a process: asks it in JSON lines, keeps what it answers, kills it at the end.
//!
//! Invariant: no wait is longer than the deadline, and a node that ended is an error at once.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

/// How long any answer may take.
const DEADLINE: Duration = Duration::from_secs(600);

/// Lines that were said and not looked at yet; beyond it the node waits.
const LINES_MAX: usize = 4096;

/// A running bench node.
pub(crate) struct Child {
    process: std::process::Child,
    input: ChildStdin,
    lines: Receiver<Value>,
    asked: u64,
    answers: BTreeMap<u64, Value>,
    seen: VecDeque<f64>,
}

impl Child {
    /// Starts the program and waits until it takes requests.
    pub(crate) fn start(program: &Path) -> anyhow::Result<Child> {
        let mut process = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let input = process.stdin.take().context("the node has no input")?;
        let output = process.stdout.take().context("the node has no output")?;
        let (sender, lines) = sync_channel(LINES_MAX);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let Ok(line) = serde_json::from_str(&line) else { continue };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let (answers, seen) = Default::default();
        let mut child = Child { process, input, lines, asked: 0, answers, seen };
        while child.next()?.get("ev").and_then(Value::as_str) != Some("up") {}
        Ok(child)
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Asks without waiting; `wait` gives the answer to the number returned.
    pub(crate) fn ask(&mut self, op: &str, mut request: Value) -> anyhow::Result<u64> {
        self.asked += 1;
        let fields = request.as_object_mut().context("a request is an object")?;
        fields.insert("op".to_owned(), op.into());
        fields.insert("n_".to_owned(), self.asked.into());
        writeln!(self.input, "{request}")?;
        self.input.flush()?;
        Ok(self.asked)
    }

    /// Waits for an answer.
    pub(crate) fn wait(&mut self, number: u64) -> anyhow::Result<Value> {
        let end = Instant::now() + DEADLINE;
        while !self.answers.contains_key(&number) {
            self.take_line(end)?;
        }
        let answer = self.answers.remove(&number).unwrap_or_default();
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => bail!("a node failed: {error}"),
            None => Ok(answer),
        }
    }

    /// Asks and waits for the answer.
    pub(crate) fn call(&mut self, op: &str, request: Value) -> anyhow::Result<Value> {
        let number = self.ask(op, request)?;
        self.wait(number)
    }

    /// When the node was told of its next message, of those it says so for.
    pub(crate) fn next_seen(&mut self) -> anyhow::Result<f64> {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(time) = self.seen.pop_front() {
                return Ok(time);
            }
            self.take_line(end)?;
        }
    }

    /// Ends the process at once.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Has the node stop in good order, and waits for the end of its process.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        self.call("quit", json!({}))?;
        self.process.wait()?;
        Ok(())
    }

    fn take_line(&mut self, end: Instant) -> anyhow::Result<()> {
        if Instant::now() > end {
            bail!("a node did not answer within {} s", DEADLINE.as_secs());
        }
        let line = self.next()?;
        if let Some(number) = line.get("re").and_then(Value::as_u64) {
            self.answers.insert(number, line);
        } else if let Some(time) = line.get("t").and_then(Value::as_f64) {
            self.seen.push_back(time);
        }
        Ok(())
    }

    fn next(&mut self) -> anyhow::Result<Value> {
        self.lines.recv_timeout(DEADLINE).context("a node ended or said nothing")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Fails if it has ended already.
        let _ = self.kill();
    }
}

/// A time in an answer, in milliseconds of the machine's steady clock.
pub(crate) fn time(answer: &Value, field: &str) -> anyhow::Result<f64> {
    answer.get(field).and_then(Value::as_f64).with_context(|| format!("an answer without `{field}`"))
}
