//! A long, bad line between two machines: each packet takes its time, and some are lost.
//!
//! Two TUN devices, one on each machine, and threads that carry packets from one to the other. Which
//! packets are lost depends on their number alone, so that all runs lose the same share.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tun_rs::{DeviceBuilder, SyncDevice};

use crate::net::ip;

/// Bytes of the largest packet.
const MTU: u16 = 1400;

/// Packets on the way in one direction; more are lost, as in any router.
const QUEUE: usize = 512;

/// What a line is like, the same in both directions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// How long a packet is on its way.
    pub(crate) delay: Duration,
    /// Of 256 packets, how many are lost.
    pub(crate) lost_of_256: u8,
    /// How many bytes pass in a second.
    pub(crate) bytes_per_s: u32,
}

/// Lays a line between two machines, each given with its address there. It lasts as long as the
/// process.
pub(crate) fn lay(name: &str, [a, b]: [(&str, &str); 2], line: Line) {
    let ends = [a, b].map(|(machine, own)| {
        let device = format!("{name}-{machine}");
        let end = DeviceBuilder::new().name(&device).mtu(MTU).enable(false).build_sync();
        let end = Arc::new(end.expect("a TUN device"));
        ip(&format!("link set {device} netns {machine}"));
        ip(&format!("-n {machine} addr add {own}/24 dev {device}"));
        ip(&format!("-n {machine} link set {device} up"));
        end
    });
    let [first, second] = ends;
    carry(&first, &second, line);
    carry(&second, &first, line);
}

/// Carries what comes out of one end into the other.
fn carry(from: &Arc<SyncDevice>, to: &Arc<SyncDevice>, line: Line) {
    let (sender, receiver) = sync_channel(QUEUE);
    let (from, to) = (Arc::clone(from), Arc::clone(to));
    std::thread::spawn(move || take(&from, &sender, line));
    std::thread::spawn(move || give(&to, &receiver, line));
}

/// Takes packets, loses some, and lets the others go with the time at which they arrive.
fn take(from: &SyncDevice, sender: &SyncSender<(Instant, Vec<u8>)>, line: Line) -> io::Result<()> {
    let mut packet = vec![0; usize::from(MTU)];
    for number in 0u64.. {
        let length = from.recv(&mut packet)?;
        if is_lost(number, line.lost_of_256) {
            continue;
        }
        let arrival = (Instant::now() + line.delay, packet[..length].to_vec());
        if let Err(TrySendError::Disconnected(_)) = sender.try_send(arrival) {
            break;
        }
    }
    Ok(())
}

/// Gives packets to the other end when they arrive, no faster than the line carries them.
fn give(to: &SyncDevice, receiver: &Receiver<(Instant, Vec<u8>)>, line: Line) -> io::Result<()> {
    let mut free = Instant::now();
    for (due, packet) in receiver {
        let due = due.max(free);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        free = due + Duration::from_secs(1).mul_f64(packet.len() as f64 / f64::from(line.bytes_per_s));
        // A packet for a device that is down is lost.
        let _ = to.send(&packet);
    }
    Ok(())
}

/// Whether the packet of this number is lost: scattered, and the same in each run.
fn is_lost(number: u64, of_256: u8) -> bool {
    blake3::hash(&number.to_be_bytes()).as_bytes()[0] < of_256
}

#[test]
fn a_line_loses_the_share_it_is_told_to() {
    let lost = |of_256: u8| (0..10_000).filter(|number| is_lost(*number, of_256)).count();
    assert_eq!(lost(0), 0);
    assert!((450..550).contains(&lost(13)), "{}", lost(13));
}
