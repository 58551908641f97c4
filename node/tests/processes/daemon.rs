//! One home and the processes that work in it: starts the node, asks it, kills it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take on a busy machine before the test gives up.
const DEADLINE: Duration = Duration::from_secs(60);

/// A home directory of a node, gone with the test.
pub(crate) struct Home {
    directory: TempDir,
}

/// A node that runs in a home. Killed when dropped.
pub(crate) struct Daemon {
    process: Child,
    /// Its home, if it was told one.
    home: Option<PathBuf>,
    /// What it said when it was ready.
    pub(crate) ready: Value,
    log: Log,
    /// Reads what it logs, to its end.
    logging: Option<JoinHandle<()>>,
}

/// What a process has written to standard error so far.
type Log = Arc<Mutex<String>>;

/// What a command line gave.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    /// The one JSON value on standard output, or null.
    pub(crate) out: Value,
    /// Standard error.
    pub(crate) error: String,
}

impl Home {
    pub(crate) fn new() -> Home {
        Home { directory: tempfile::tempdir().expect("a directory for the test") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A home with the same files: copied as a person would copy it.
    pub(crate) fn copy(&self) -> Home {
        let copy = Home::new();
        copy_all(self.path(), copy.path());
        copy
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_as(Command::new(env!("CARGO_BIN_EXE_fourword")), arguments)
    }

    /// The same by a command that begins with something else and ends with the program.
    pub(crate) fn command_as(&self, command: Command, arguments: &[&str]) -> Command {
        self.plain(command, &[arguments, &["--json"]].concat())
    }

    /// The same for a person to read.
    fn plain(&self, mut command: Command, arguments: &[&str]) -> Command {
        command.args(arguments).arg("--home").arg(self.path());
        command.env_remove("FOURWORD_PASSPHRASE").env_remove("XDG_RUNTIME_DIR");
        command.env("FOURWORD_NAMING", "test").stdin(Stdio::null());
        command
    }

    /// Starts the node and waits until it serves.
    pub(crate) fn up(&self) -> Daemon {
        self.up_with(&[])
    }

    pub(crate) fn up_with(&self, more: &[&str]) -> Daemon {
        let arguments = [&["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"], more].concat();
        Daemon::wait(self.command(&arguments))
    }

    /// Runs one command line to its end.
    pub(crate) fn tell(&self, arguments: &[&str]) -> Told {
        told(self.command(arguments).output().expect("the program runs"))
    }

    /// Runs one command line that must succeed, and gives what it printed.
    pub(crate) fn must(&self, arguments: &[&str]) -> Value {
        let told = self.tell(arguments);
        assert_eq!(told.code, 0, "{arguments:?}: {} {}", told.out, told.error);
        told.out
    }

    /// Runs one command line as a person does, and gives what it printed; it must succeed.
    pub(crate) fn read(&self, arguments: &[&str]) -> String {
        let mut command = self.plain(Command::new(env!("CARGO_BIN_EXE_fourword")), arguments);
        let output = command.output().expect("the program runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// The texts of a chat, oldest first.
    pub(crate) fn chat(&self, group: &str) -> Vec<String> {
        let read = self.must(&["chat", "read", group, "--last", "10000"]);
        let messages = read["messages"].as_array().expect("a list of messages");
        let text = |m: &Value| match m["deleted"].as_bool() {
            Some(true) => "(deleted)".to_owned(),
            _ => m["text"].as_str().expect("a text").to_owned(),
        };
        messages.iter().map(text).collect()
    }

    /// Waits until a chat shows exactly these texts.
    pub(crate) fn wait_for_chat(&self, group: &str, expected: &[&str]) {
        eventually(&format!("a chat of {expected:?}"), || self.chat(group) == expected);
    }
}

impl Daemon {
    /// Starts a command that is to become ready, and waits for it.
    pub(crate) fn wait(mut command: Command) -> Daemon {
        let mut arguments = command.get_args().skip_while(|argument| *argument != "--home");
        let home = arguments.nth(1).map(PathBuf::from);
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let out = process.stdout.take().expect("its output");
        let errors = process.stderr.take().expect("its errors");
        let (lines, told) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    // Nobody listens any more; go on reading so that the node is not held up.
                }
            }
        });
        let log = Log::default();
        let written = Arc::clone(&log);
        let logging = std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                written.lock().expect("nobody panics with the log").extend([line.as_str(), "\n"]);
            }
        });
        let end = Instant::now() + DEADLINE;
        loop {
            match told.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let event: Value = serde_json::from_str(&line).expect("a line of JSON");
                    if event["event"] == "ready" {
                        return Daemon { process, home, ready: event, log, logging: Some(logging) };
                    }
                }
                Err(_) => {
                    let _ = process.kill();
                    let _ = process.wait();
                    let _ = logging.join();
                    panic!("the node is not ready: {}", log.lock().expect("it has ended"));
                }
            }
        }
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it at once.
    pub(crate) fn kill(mut self) {
        self.process.kill().expect("it was running");
        self.process.wait().expect("it ends");
    }

    /// Sends a signal and waits for the end. Gives the exit code, if any, and what it logged.
    pub(crate) fn end_by(mut self, signal: &str) -> (Option<i32>, String) {
        self.tell(signal);
        let status = self.process.wait().expect("it ends");
        self.logging.take().map(JoinHandle::join).transpose().expect("its log was read");
        let log = self.log.lock().expect("nobody panics with the log").clone();
        (status.code(), log)
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) {
        self.tell("-TERM");
        let status = self.process.wait().expect("it ends");
        assert!(status.success(), "an asked-for end is no failure: {status}");
    }

    /// Has it do nothing more, with all its connections open, until it may go on.
    pub(crate) fn hang(&self) {
        self.tell("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        self.tell("-CONT");
    }

    /// Sends it a signal.
    pub(crate) fn tell(&self, signal: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill runs");
        assert!(sent.success(), "{signal} {id}");
    }

    /// Whether a line of its log has all these words.
    pub(crate) fn has_logged(&self, words: &[&str]) -> bool {
        let log = self.log.lock().expect("nobody panics with the log");
        log.lines().any(|line| words.iter().all(|word| line.contains(word)))
    }

    /// The first address at which it can be dialled.
    pub(crate) fn address(&self) -> String {
        self.ready["addresses"][0].as_str().expect("an address").to_owned()
    }

    /// The person's four words.
    pub(crate) fn identity(&self) -> String {
        self.ready["identity"].as_str().expect("four words").to_owned()
    }
}

impl Daemon {
    /// Shows how it stands while it still runs, for whoever looks why a test failed.
    fn show_standing(&mut self) {
        let runs = self.process.try_wait().is_ok_and(|ended| ended.is_none());
        let Some(home) = self.home.as_ref().filter(|_| runs) else { return };
        // A process that was told to hang would not answer.
        let _ = Command::new("kill").args(["-CONT", &self.process.id().to_string()]).status();
        for arguments in [&["sync", "status"][..], &["peers"], &["metrics"]] {
            let mut asked = Command::new(env!("CARGO_BIN_EXE_fourword"));
            let asked = asked.args(arguments).arg("--home").arg(home).stdin(Stdio::null()).output();
            let out = asked.map(|output| output.stdout).unwrap_or_default();
            let out = String::from_utf8_lossy(&out);
            let tells =
                |line: &&str| !line.starts_with('#') && !line.contains("_bucket") && !line.ends_with(" 0");
            let lines: Vec<&str> = out.lines().filter(tells).collect();
            eprintln!("-- {arguments:?} of {}\n{}", self.ready, lines.join("\n"));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_standing();
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("-- log of {}\n{}", self.ready, self.log.lock().expect("it has ended"));
        }
    }
}

pub(crate) fn told(output: Output) -> Told {
    let out = String::from_utf8(output.stdout).expect("text");
    let error = String::from_utf8(output.stderr).expect("text");
    let out = serde_json::from_str(&out).unwrap_or(Value::Null);
    Told { code: output.status.code().unwrap_or(-1), out, error }
}

impl Told {
    /// The code of the error on standard error.
    pub(crate) fn error_code(&self) -> String {
        let last = self.error.lines().last().unwrap_or_default();
        let error: Value =
            serde_json::from_str(last).unwrap_or_else(|_| panic!("no JSON error: {}", self.error));
        assert!(error["error"]["message"].is_string() && error["error"]["hint"].is_string(), "{error}");
        error["error"]["code"].as_str().expect("a code").to_owned()
    }
}

/// Waits until a condition holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory").map_while(Result::ok) {
        let target: PathBuf = to.join(entry.file_name());
        let kind = entry.file_type().expect("a kind of file");
        if kind.is_dir() {
            copy_all(&entry.path(), &target);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), &target).expect("a copy");
        }
    }
}
