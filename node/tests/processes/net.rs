//! Networks for tests of real processes: machines, switches, routers that translate addresses.
//!
//! Each machine is a network namespace, each switch a bridge in the namespace of the test, which
//! `apart` has made. Cables are pulled without anybody being told, as in life.

use std::net::Ipv4Addr;
use std::process::Command;

use crate::apart::run;

/// Where namespaces have their names.
const NAMES: &str = "/run/netns";

/// How a router translates addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nat {
    /// A host keeps its port outside, whomever it speaks to.
    PortPreserving,
    /// Another port outside for each whom it speaks to.
    Symmetric,
}

/// The machines and switches of one test.
pub(crate) struct Net {
    machines: Vec<(String, Ipv4Addr)>,
}

/// Runs `ip` with these words.
pub(crate) fn ip(line: &str) {
    run("ip", &line.split_whitespace().collect::<Vec<_>>());
}

/// The cable of a machine, at its end in the switch.
fn cable(machine: &str, switch: &str) -> String {
    format!("{machine}-{switch}")
}

impl Net {
    /// A test's world without machines yet.
    pub(crate) fn new() -> Net {
        std::fs::create_dir(NAMES).expect("a place for networks");
        Net { machines: Vec::new() }
    }

    /// Machines on one switch, 10.4.4.1 and on.
    pub(crate) fn on_one_switch(names: &[&str]) -> Net {
        let mut net = Net::new();
        net.switch("switch");
        for (name, number) in names.iter().zip(1..) {
            net.machine(name);
            net.plug(name, "switch", &format!("10.4.4.{number}"));
        }
        net
    }

    /// Adds a switch.
    pub(crate) fn switch(&self, name: &str) {
        ip(&format!("link add {name} type bridge"));
        ip(&format!("link set {name} up"));
    }

    /// Adds a machine without any cable.
    pub(crate) fn machine(&self, name: &str) {
        ip(&format!("netns add {name}"));
        ip(&format!("-n {name} link set lo up"));
    }

    /// Puts a cable from a machine into a switch; the machine's end has the switch's name and this
    /// address, of which the first three parts name the network.
    pub(crate) fn plug(&mut self, machine: &str, switch: &str, address: &str) {
        let cable = cable(machine, switch);
        ip(&format!("link add {cable} type veth peer name {switch} netns {machine}"));
        ip(&format!("link set {cable} master {switch} up"));
        ip(&format!("-n {machine} addr add {address}/24 dev {switch}"));
        ip(&format!("-n {machine} link set {switch} up"));
        self.machines.push((machine.to_owned(), address.parse().expect("an address")));
    }

    /// Sends everything that a machine has no network for to this address.
    pub(crate) fn gateway(&self, machine: &str, via: &str) {
        ip(&format!("-n {machine} route add default via {via}"));
    }

    /// Takes the machine's address on this switch away and gives it another.
    pub(crate) fn readdress(&self, machine: &str, switch: &str, address: &str) {
        ip(&format!("-n {machine} addr flush dev {switch}"));
        ip(&format!("-n {machine} link set {switch} down"));
        ip(&format!("-n {machine} addr add {address}/24 dev {switch}"));
        ip(&format!("-n {machine} link set {switch} up"));
    }

    /// Makes a machine a router that hides those behind it: what they begin goes out by its
    /// interface `outside` under its own address, and only answers come in.
    pub(crate) fn translate(&self, router: &str, outside: &str, nat: Nat) {
        let inside = |line: &str| self.must(router, line);
        inside("sysctl -q -w net.ipv4.ip_forward=1");
        // What comes unasked is dropped without an answer. Answered, it would be on the router's
        // books, and the host behind it would get another port for the same way out.
        inside(&format!("iptables -A INPUT -i {outside} -j DROP"));
        inside("iptables -P FORWARD DROP");
        inside("iptables -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT");
        inside(&format!("iptables -A FORWARD -o {outside} -j ACCEPT"));
        let random = if nat == Nat::Symmetric { "--random-fully" } else { "" };
        inside(&format!("iptables -t nat -A POSTROUTING -o {outside} -j MASQUERADE {random}"));
    }

    /// Lets nothing pass from one machine to an address, or lets it pass again.
    pub(crate) fn block(&self, machine: &str, address: &str, is_blocked: bool) {
        let act = if is_blocked { "-I" } else { "-D" };
        for chain in ["FORWARD", "OUTPUT"] {
            self.must(machine, &format!("iptables {act} {chain} -d {address} -j DROP"));
        }
    }

    /// Lets a machine reach the others over UDP alone.
    pub(crate) fn only_udp(&self, machine: &str) {
        self.must(machine, "iptables -A OUTPUT ! -o lo -p tcp -j DROP");
    }

    fn must(&self, machine: &str, line: &str) {
        let at = format!("--net={NAMES}/{machine}");
        let words: Vec<&str> = std::iter::once(at.as_str()).chain(line.split_whitespace()).collect();
        run("nsenter", &words);
    }

    /// Where a node on this machine listens over TCP.
    pub(crate) fn address(&self, machine: &str) -> String {
        let found = self.machines.iter().find(|(name, _)| name == machine);
        let (_, address) = found.expect("a machine with a cable");
        format!("/ip4/{address}/tcp/4001")
    }

    /// A program that runs on a machine.
    pub(crate) fn on(&self, machine: &str, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={NAMES}/{machine}")).arg(program);
        command
    }

    /// Pulls a machine's cable out of a switch: nothing passes any more, and nobody is told.
    pub(crate) fn cut(&self, machine: &str, switch: &str) {
        ip(&format!("link set {} nomaster", cable(machine, switch)));
    }

    /// Puts the cable back.
    pub(crate) fn mend(&self, machine: &str, switch: &str) {
        ip(&format!("link set {} master {switch}", cable(machine, switch)));
    }
}
