//! A world of its own for one test, in which networks can be cut and disks are small.
//!
//! The test runs itself again inside new namespaces, as their root, so nothing outside is touched
//! and everything is gone with the process. Left out, and said so, where the kernel or a missing
//! program does not permit that.

use std::path::Path;
use std::process::{Command, Stdio};

/// Set in the process that runs inside.
const INSIDE: &str = "FOURWORD_TEST_INSIDE";

/// New user, network, mount and process namespaces; who is in them dies with the first process.
const UNSHARE: [&str; 6] = ["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork"];

/// What a test does inside beyond cutting networks and filling disks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    /// Routers that translate addresses.
    Routers,
    /// Lines that lose and delay.
    Lines,
}

impl Need {
    /// What is tried first.
    fn probe(self) -> &'static str {
        match self {
            Need::Routers => {
                " && sysctl -q -w net.ipv4.ip_forward=1 \
                && iptables -t nat -A POSTROUTING -o probe -j MASQUERADE --random-fully \
                && iptables -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
            }
            Need::Lines => " && ip tuntap add dev line mode tun && ip link set line netns probe",
        }
    }
}

/// What is tried in any case: all that the other tests do inside.
const PROBE: &str = "mount -t tmpfs none /run && mkdir /run/netns && ip netns add probe \
    && ip link add probe type bridge && ip link add up type veth peer name eth0 netns probe \
    && nsenter --net=/run/netns/probe true";

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(UNSHARE).arg("--kill-child").stdin(Stdio::null());
    command
}

/// Runs the body of the test of this name in a world of its own, if there can be one.
pub(crate) fn in_a_world_of_its_own(test: &str, body: impl FnOnce()) {
    in_a_world_with(&[], test, body);
}

/// The same for a test that needs more.
pub(crate) fn in_a_world_with(needs: &[Need], test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        run("mount", &["-t", "tmpfs", "none", "/run"]);
        return body();
    }
    let probe: String = [PROBE].into_iter().chain(needs.iter().map(|need| need.probe())).collect();
    let probed = unshare().args(["sh", "-c", &probe]).output();
    match &probed {
        Ok(output) if output.status.success() => {}
        Ok(output) => return left_out(test, String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) => return left_out(test, &format!("unshare: {error}")),
    }
    let own = std::env::current_exe().expect("the path of this test");
    let mut again = unshare();
    again.arg(own).args([test, "--exact", "--nocapture", "--test-threads=1"]).env(INSIDE, "1");
    let output = again.output().expect("unshare runs");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{test}: {}\n{text}\n{errors}",
        output.status
    );
    // What it measured.
    text.lines().filter(|line| line.starts_with('|')).for_each(|line| println!("{line}"));
}

fn left_out(test: &str, why: &str) {
    println!("left out: {test}, because no namespaces can be made here: {why}");
}

/// Runs a program that must succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("the program is there");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
}

/// A small disk, mounted over a directory until it is dropped.
pub(crate) struct SmallDisk<'a> {
    at: &'a Path,
}

impl SmallDisk<'_> {
    /// A disk of so many bytes.
    pub(crate) fn over(at: &Path, bytes: u64) -> SmallDisk<'_> {
        let text = at.to_str().expect("a path in letters");
        run("mount", &["-t", "tmpfs", "-o", &format!("size={bytes},mode=700"), "none", text]);
        SmallDisk { at }
    }

    /// Writes a file that takes all the room there is, and gives its path.
    pub(crate) fn fill(&self) -> std::path::PathBuf {
        let path = self.at.join("filling");
        let mut file = std::fs::File::create(&path).expect("a file");
        // Down to the last byte: a block that does not fit is tried in smaller parts.
        for block in [64 * 1024, 4096, 1] {
            while std::io::Write::write_all(&mut file, &vec![7; block]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily: whatever still has a file of it open is about to end.
        let _ = Command::new("umount").arg("--lazy").arg(self.at).status();
    }
}
