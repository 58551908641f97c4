//! What breaks: connections, disks, processes, homes and clocks. Each fault is counted by kind.

use fourword_protocol::event::Event;
use fourword_protocol::roster::{Body, Statement};
use fourword_protocol::wire::Frame;
use fourword_storage::Fault;
use rand::Rng;

use super::profile::Profile;
use super::schedule::Schedule;
use super::verdict::Violation;
use crate::draw;

const HOUR_MS: i64 = 3_600_000;
const DAY_HOURS: i64 = 24;
/// Longer than a device is waited for that acknowledges nothing.
const MONTH_DAYS: i64 = 31;
/// Invites outlast them.
const MONTHS_MAX: i64 = 3;
/// A clock is wrong by so many hours at most.
const SKEW_HOURS_MAX: i64 = 96;
/// How long one hears nothing before the connection is given up.
const SILENCE_MS: (u64, u64) = (2_000, 20_000);

/// Whether a frame gives keys of epochs to devices.
fn gives_keys(frame: &Frame) -> bool {
    let Frame::Statements { statements, .. } = frame else { return false };
    let seals = |bytes: &Vec<u8>| {
        let read = Statement::read(bytes);
        matches!(read.as_ref().map(Statement::body), Ok(Body::SealKey { .. } | Body::Epoch { .. }))
    };
    statements.iter().any(seals)
}

impl Schedule {
    /// One fault.
    pub(super) fn break_something(&mut self) -> Result<(), Violation> {
        let (Some(a), Some(b)) = (self.any_node(), self.any_node()) else { return Ok(()) };
        match self.random.next_u64() % 31 {
            0..=3 => {
                self.faults.count("disconnection");
                let lag = draw::within(&mut self.random, (0, 800));
                self.c.close(&a, &b, lag);
            }
            4..=6 => self.part_two_ways(&a),
            7..=9 => self.part_one_way(&a, &b),
            10..=14 => self.crash_now(&a),
            15..=16 => return self.stop_cleanly(&a),
            17 => self.fail_disk(&a, Fault::DiskFull, "full disk"),
            18 => {
                let whole = self.random.next_u64() % 3 + 1;
                self.fail_disk(&a, Fault::Torn(usize::try_from(whole).unwrap_or(1)), "torn write");
            }
            19 => self.fail_disk(&a, Fault::Torn(0), "failed write"),
            20..=21 => self.skew_clock(&a),
            22 => self.restore_older(&a),
            23 => self.keep_copy(&a),
            24..=25 => self.checker.crash_at_answer = Some(a),
            26 => self.start_copy(&a),
            28 => self.hold_back_keys(&a),
            30 => self.let_a_month_pass(),
            27 => {
                self.faults.count("gossip dropped at the receiver");
                if let (true, Some(of)) = (self.c.is_up(&a), self.c.device(&b)) {
                    self.c.happen(&a, Event::Missed(of));
                }
            }
            _ => self.change_gossip(),
        }
        Ok(())
    }

    fn change_gossip(&mut self) {
        if self.profile != Profile::Silent {
            self.faults.count("gossip loss");
            self.c.gossip_loss = self.random.next_u64() % 101;
        }
    }

    // -- the network --------------------------------------------------------------------------

    /// A node, or some of its connections, are cut: both sides see it at once, or hear nothing of
    /// each other any more.
    fn part_two_ways(&mut self, a: &str) {
        self.faults.count("two-way partition");
        let seen = draw::once_in(&mut self.random, 2);
        let others: Vec<String> = self.world.nodes.keys().filter(|name| *name != a).cloned().collect();
        for other in others {
            if draw::once_in(&mut self.random, 5) {
                continue;
            }
            if seen {
                self.c.network.cut(a, &other);
                self.c.disconnect(a, &other);
            } else {
                let until = draw::within(&mut self.random, SILENCE_MS);
                self.c.mute(a, &other, until);
                self.c.mute(&other, a, until);
            }
        }
    }

    fn part_one_way(&mut self, a: &str, b: &str) {
        if a != b {
            self.faults.count("one-way partition");
            let until = draw::within(&mut self.random, SILENCE_MS);
            self.c.mute(a, b, until);
        }
    }

    /// Seals do not reach a node for a while, though all else does.
    fn hold_back_keys(&mut self, to: &str) {
        if self.profile == Profile::Untimed {
            return;
        }
        self.faults.count("keys held back");
        for from in self.world.nodes.keys().filter(|from| *from != to).cloned().collect::<Vec<_>>() {
            let count = draw::within(&mut self.random, (1, 3));
            self.c.lose(&from, to, gives_keys, count);
        }
    }

    /// Ends partitions, all or between two, and has nodes that can reach each other connect.
    pub(super) fn mend(&mut self) {
        if draw::once_in(&mut self.random, 3) {
            self.c.mend();
        }
        let names: Vec<String> = self.world.nodes.keys().cloned().collect();
        for a in &names {
            for b in &names {
                if draw::once_in(&mut self.random, 2) {
                    self.c.connect(a, b);
                }
            }
        }
    }

    // -- processes ----------------------------------------------------------------------------

    fn crash_now(&mut self, name: &str) {
        let kept = self.random.next_u64() % 4;
        self.crash(name, usize::try_from(kept).unwrap_or(0));
    }

    /// Ends a node at once; so many batches of the flush under way had reached the disk.
    pub(super) fn crash(&mut self, name: &str, kept: usize) {
        if !self.c.is_up(name) {
            return;
        }
        let lost = self.c.node(name).disk.unflushed().saturating_sub(kept) > 0;
        self.faults.count(if lost { "crash that loses what was not durable" } else { "crash" });
        self.c.crash_keeping(name, kept);
        self.forget_askers(name);
    }

    fn stop_cleanly(&mut self, name: &str) -> Result<(), Violation> {
        if !self.c.is_up(name) || self.c.node(name).taken_over {
            return Ok(());
        }
        self.faults.count("clean stop");
        self.c.happen(name, Event::Stopping);
        let end = self.c.now() + 5_000;
        while !self.c.node(name).stopped && self.c.next_at().is_some_and(|at| at <= end) {
            self.one()?;
        }
        // A person who waits no longer kills it.
        match self.c.node(name).stopped {
            true => self.c.take_down(name),
            false => self.c.crash(name),
        }
        self.forget_askers(name);
        Ok(())
    }

    fn forget_askers(&mut self, name: &str) {
        self.world.asked.retain(|(of, _), _| of != name);
    }

    /// Starts those who are down; after the end of all faults all of them.
    pub(super) fn raise(&mut self, all: bool) -> Result<(), Violation> {
        let down: Vec<String> = self.world.nodes.keys().filter(|name| !self.c.is_up(name)).cloned().collect();
        for name in down {
            if all || draw::once_in(&mut self.random, 2) {
                self.faults.count("restart");
                self.checker.restarts(&self.c, &self.world, &name)?;
                self.c.begin_again(&name);
            }
        }
        Ok(())
    }

    // -- disks and homes ----------------------------------------------------------------------

    fn fail_disk(&mut self, name: &str, fault: Fault, kind: &str) {
        if self.c.is_up(name) && !self.c.node(name).taken_over {
            self.faults.count(kind);
            self.c.node_mut(name).disk.fail_next(fault);
        }
    }

    /// Restarts a node whose disk failed, as its person would.
    pub(super) fn repair(&mut self) {
        let broken: Vec<String> =
            self.world.nodes.keys().filter(|n| self.c.node(n).disk.failed).cloned().collect();
        for name in broken {
            if self.c.is_up(&name) {
                self.c.crash(&name);
                self.forget_askers(&name);
            }
        }
    }

    /// Somebody makes a copy of a home while the node runs.
    fn keep_copy(&mut self, name: &str) {
        let mut copy = self.c.node(name).disk.store.clone();
        // What a copy takes of a store is what was durable.
        copy.crash(0);
        if let Some(owner) = self.world.owner(name) {
            self.world.copies.insert(name.to_owned(), (copy, owner));
        }
    }

    /// A home is lost, and an older copy of it takes its place.
    fn restore_older(&mut self, name: &str) {
        let Some((copy, owner)) = self.world.copies.get(name).cloned() else { return self.keep_copy(name) };
        if !self.world.is_honest(name) {
            return;
        }
        self.faults.count("copied home: an older copy takes its place");
        if self.c.is_up(name) {
            self.c.crash(name);
            self.forget_askers(name);
        }
        self.checker.loses_home(&self.c, &mut self.world, name);
        self.world.forget_link(name, owner);
        let node = self.c.node_mut(name);
        node.disk = crate::disk::Disk::new(copy);
        node.stopped = false;
    }

    /// A copy of a home is started beside it: both are the same device.
    fn start_copy(&mut self, name: &str) {
        let Some((copy, owner)) = self.world.copies.get(name).cloned() else { return self.keep_copy(name) };
        if !self.world.is_honest(name) {
            return;
        }
        let twin = format!("{name}'");
        if name.ends_with('\'') || self.world.nodes.contains_key(&twin) {
            return;
        }
        self.faults.count("copied home: a twin is started");
        self.world.nodes.insert(twin.clone(), owner);
        self.c.start(&twin, copy, 0, false);
    }

    // -- clocks -------------------------------------------------------------------------------

    /// A wall clock is set, wrongly, by hours or days; the steady clock goes on.
    pub(super) fn skew_clock(&mut self, name: &str) {
        self.faults.count("clock skew");
        let span = u64::try_from(2 * SKEW_HOURS_MAX + 1).unwrap_or(1);
        let hours = i64::try_from(self.random.next_u64() % span).unwrap_or(0) - SKEW_HOURS_MAX;
        let months = self.world.months * MONTH_DAYS * DAY_HOURS;
        self.c.node_mut(name).clock.skew_ms = (months + hours) * HOUR_MS;
    }

    /// A month passes in which nothing happens: who is away then has lapsed.
    fn let_a_month_pass(&mut self) {
        if self.world.months < MONTHS_MAX {
            self.faults.count("a month in which nothing happens");
            self.world.months += 1;
            self.c.let_days_pass(MONTH_DAYS);
        }
    }
}
