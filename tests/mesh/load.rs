//! Nodes that write all the time while something else happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::circle::Circle;
use crate::node::Node;

/// How long a writer waits between two messages.
const PAUSE: Duration = Duration::from_millis(150);

/// Has nodes write while `during` runs. What a node does not take, because it is down just then,
/// is not called saved and so not missed.
pub(crate) fn under_load<T>(circle: &Circle, writers: &[&Node], during: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in writers {
            scope.spawn(|| {
                let mut number = 0;
                while !over.load(Ordering::Relaxed) {
                    circle.try_say(writer, &format!("{} under load, {number}", writer.name));
                    number += 1;
                    thread::sleep(PAUSE);
                }
            });
        }
        let _over = Over(&over);
        during()
    })
}

/// Ends the writing, also where the scenario fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
