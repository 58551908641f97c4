//! What this node's application was told of: which messages are there, and since when.
//!
//! One task listens to the notices of the node, as any program on the device may. With `each`, a
//! message counts as told once the listener has read its text and found its id in it.
//! Invariant: a message counts once, at the time when it was first told of.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fourword::driver::Handle;

use fourword_protocol::command::{
    Changes, ChatCommand, Command, Copied, MessageView, Notice, Outcome, Reply, Revision, Row,
};
use fourword_protocol::limits::READ_MESSAGES_MAX;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::words::FourWords;
use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::oneshot;

use crate::clock::now_ms;
use crate::message;
use crate::output::print;

/// The messages of one chat that this node was told of.
#[derive(Default)]
pub(crate) struct Seen {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    there: BTreeSet<MessageId>,
    /// When each further message was there.
    times: Vec<f64>,
    /// Who waits for so many messages.
    waiting: Vec<(usize, oneshot::Sender<f64>)>,
    /// Whether each new message is printed.
    each: bool,
}

impl Seen {
    /// Prints each new message from now on, or none.
    pub(crate) fn set_each(&self, on: bool) {
        self.lock().each = on;
    }

    /// Waits until so many messages are there, and gives the time since when they are.
    pub(crate) async fn expect(&self, count: usize) -> anyhow::Result<f64> {
        let arrived = {
            let mut state = self.lock();
            if let Some(time) = count.checked_sub(1).and_then(|last| state.times.get(last)) {
                return Ok(*time);
            }
            let (sender, arrived) = oneshot::channel();
            state.waiting.push((count, sender));
            arrived
        };
        Ok(arrived.await?)
    }

    /// Notes messages as there since `time`, and gives those that are new.
    fn note(&self, messages: impl IntoIterator<Item = MessageId>, time: f64) -> Vec<MessageId> {
        let mut state = self.lock();
        let new: Vec<MessageId> = messages.into_iter().filter(|id| state.there.insert(*id)).collect();
        let count = state.there.len();
        state.times.resize(count, time);
        for (_, waiting) in state.waiting.extract_if(.., |(wanted, _)| *wanted <= count) {
            // Fails if nobody waits any more.
            let _ = waiting.send(time);
        }
        new
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, also after a panic elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens until the node ends.
pub(crate) async fn listen(handle: Handle, mut notices: Receiver<Notice>, chat: FourWords, seen: Arc<Seen>) {
    let mut copies = Copies::default();
    loop {
        let told = match notices.recv().await {
            Ok(Notice::ChatChanged { entity, messages }) if entity == chat => messages,
            Ok(_) => continue,
            Err(RecvError::Lagged(_)) => Vec::new(),
            Err(RecvError::Closed) => return,
        };
        // Some were missed, or a whole part of the chat came: those not known yet are new.
        let told = if told.is_empty() { copies.changed(&handle, chat).await } else { told };
        let new = seen.note(told, now_ms());
        if !new.is_empty() && seen.lock().each {
            print_each(&handle, chat, new).await;
        }
    }
}

/// Notes what a home that was opened again holds already.
pub(crate) async fn note_held(handle: &Handle, chat: FourWords, seen: &Seen) {
    seen.note(Copies::default().changed(handle, chat).await, now_ms());
}

/// What was asked for of each segment of a chat, so that only what changed is asked for after that.
#[derive(Default)]
struct Copies {
    /// What each is known to have, and what it stood at when all of it began to be asked for.
    known: Vec<(Copied, Option<Revision>)>,
}

impl Copies {
    /// The messages that changed since this was asked last, all at first, as far as the node gives them.
    async fn changed(&mut self, handle: &Handle, chat: FourWords) -> Vec<MessageId> {
        let (mut all, mut segments, mut at) = (Vec::new(), 1, 0);
        while at < segments {
            self.known.resize(self.known.len().max(at + 1), Default::default());
            let Some((known, since)) = self.known.get_mut(at) else { return all };
            let segment = u32::try_from(at + 1).unwrap_or(u32::MAX);
            let copy = Command::Copy { entity: chat, concern: Concern::Chat, segment, known: *known };
            let Ok(Outcome::Done(Reply::Copy(copy))) = handle.ask(copy).await else { return all };
            segments = usize::try_from(copy.segments).unwrap_or(usize::MAX);
            let is_all = match &copy.changes {
                Changes::Whole { reading, rows, next } => {
                    all.extend(rows.iter().map(Row::id));
                    *since = since.or(copy.revision);
                    known.whole = next.map(|next| (*reading, Some(next)));
                    // What changed while all of it was asked for is asked for after that.
                    known.revision = if next.is_none() { since.take() } else { None };
                    false
                }
                Changes::Some { changed, more, .. } => {
                    all.extend(changed.iter().map(Row::id));
                    *known = Copied { revision: copy.revision, digest: copy.digest, ..Copied::default() };
                    !more
                }
            };
            at += usize::from(is_all);
        }
        all
    }
}

/// Reads new messages and prints their ids.
async fn print_each(handle: &Handle, chat: FourWords, new: Vec<MessageId>) {
    let mut unread: BTreeSet<MessageId> = new.into_iter().collect();
    let mut last = unread.len();
    while !unread.is_empty() {
        let views = last_messages(handle, chat, last).await;
        let found: Vec<MessageView> =
            views.into_iter().filter(|view| unread.remove(&view.message.id)).collect();
        let time = now_ms();
        for view in &found {
            if let Some(id) = message::id_of(&view.message.text) {
                print(&json!({ "ev": "seen", "id": id, "t": time }));
            }
        }
        if last >= READ_MESSAGES_MAX {
            return;
        }
        // New ones need not be the last: others may have an earlier clock.
        last = last.saturating_mul(4);
    }
}

/// The last messages of a chat; none if the node does not give them.
pub(crate) async fn last_messages(handle: &Handle, chat: FourWords, last: usize) -> Vec<MessageView> {
    let last = u32::try_from(last).unwrap_or(u32::MAX);
    match handle.ask(Command::Chat(chat, ChatCommand::Read { last })).await {
        Ok(Outcome::Done(Reply::Messages(messages))) => messages,
        _ => Vec::new(),
    }
}
