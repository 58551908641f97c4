//! Brings the copy of chats up to date: when somebody reads, and in the background.
//!
//! The machine is asked what the copy lacks; its notices are hints alone, so that none can be
//! missed. What comes is written together with the digest that says what the copy now knows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fourword_protocol::command::{ChatCommand, ChatView, Command, Notice, Reply};
use fourword_protocol::ids::EntityId;
use fourword_protocol::limits::SEGMENTS_MAX;
use fourword_protocol::words::FourWords;
use fourword_storage::read_model::{Known, ReadModel};
use tokio::sync::broadcast::error::RecvError;

use super::{Reading, Trouble};
use crate::api::error::{Code, Problem};

/// How long changes gather before the copy follows in the background.
const GATHER: Duration = Duration::from_millis(250);

/// After which time the copy asks again for what was not settled, or what failed.
const AGAIN: Duration = Duration::from_secs(1);

impl Reading {
    /// Keeps the copy up to date until the node ends.
    pub async fn keep_up(self) {
        let mut notices = self.node.notices();
        let mut due = Due { all: true, chats: BTreeSet::new() };
        loop {
            let followed = self.follow(&mut due).await;
            if followed.as_ref().is_err_and(|problem| problem.code == Code::NotRunning) {
                return;
            }
            let failed = followed.is_err();
            let notice = if failed || !due.chats.is_empty() {
                tokio::time::timeout(AGAIN, notices.recv()).await.ok()
            } else {
                Some(notices.recv().await)
            };
            match notice {
                Some(Err(RecvError::Closed)) => return,
                Some(notice) => {
                    due.note(notice);
                    let gathering = tokio::time::sleep(GATHER);
                    tokio::pin!(gathering);
                    loop {
                        tokio::select! {
                            () = &mut gathering => break,
                            notice = notices.recv() => match notice {
                                Err(RecvError::Closed) => return,
                                notice => due.note(notice),
                            },
                        }
                    }
                }
                None => due.all |= failed,
            }
        }
    }

    /// Brings up what is due; what fails stays due.
    async fn follow(&self, due: &mut Due) -> Result<(), Problem> {
        if due.all || !due.chats.is_empty() {
            let chats = self.told_list().await?;
            let ids: Vec<EntityId> = chats.iter().map(|chat| chat.id).collect();
            if due.all {
                self.mending(|| {
                    let ids = ids.clone();
                    self.shelf.ask(move |model| model.keep_only(&ids))
                })
                .await?;
            }
            for chat in chats.iter().filter(|chat| due.all || due.chats.contains(&chat.words)) {
                self.mending(|| self.bring_up_named(chat)).await?;
            }
        }
        *due = Due { all: false, chats: self.unsettled() };
        Ok(())
    }

    /// Chats of which the copy has something that was not settled.
    fn unsettled(&self) -> BTreeSet<FourWords> {
        let chats = self.chats();
        let is_unsettled = |id: &EntityId| {
            let known = chats.known.get(id);
            // Whoever holds it brings it up to date and will see for itself.
            known.is_some_and(|known| {
                known.try_lock().is_ok_and(|known| known.iter().any(Known::is_unsettled))
            })
        };
        chats.ids.iter().filter(|(_, id)| is_unsettled(id)).map(|(words, _)| *words).collect()
    }

    /// Brings up a chat and its name.
    async fn bring_up_named(&self, chat: &ChatView) -> Result<(), Trouble> {
        let id = chat.id;
        if let Some(name) = chat.name.clone() {
            self.shelf.ask(move |model| model.name(id, &name)).await?;
        }
        self.bring_up(chat.words, id).await
    }

    /// Brings up those of these chats that changed since the copy last had all of them.
    pub(super) async fn bring_up_all(&self, chats: &[ChatView]) -> Result<(), Trouble> {
        for chat in chats {
            if !self.is_current(chat).await? {
                self.bring_up(chat.words, chat.id).await?;
            }
        }
        Ok(())
    }

    async fn is_current(&self, chat: &ChatView) -> Result<bool, Trouble> {
        let known = self.known(chat.id).lock().await.clone();
        let chat = chat.clone();
        let has_all = move |model: &mut ReadModel| {
            for ((segment, stands), at) in (1..).zip(&chat.segments).zip(0..) {
                let known = known.get(at).copied().unwrap_or_default();
                if !model.has((chat.id, segment), stands, &known)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        self.shelf.ask(has_all).await
    }

    /// Brings the copy of one chat up to date, segment by segment.
    pub(super) async fn bring_up(&self, words: FourWords, id: EntityId) -> Result<(), Trouble> {
        let known = self.known(id);
        let mut known = known.lock().await;
        let mut segments = 1;
        for (segment, at) in (1..=SEGMENTS_MAX).zip(0..) {
            if segment > segments {
                break;
            }
            loop {
                let mut before = known.get(at).copied().unwrap_or_default();
                let place = (id, segment);
                let asked = self.shelf.ask(move |model| Ok((model.lacking(place, &mut before)?, before)));
                let (copied, before) = asked.await?;
                let command = ChatCommand::Copy { segment, known: copied };
                let Reply::Copy(copy) = self.ask(Command::Chat(words, command)).await? else {
                    return Err(Problem::mismatch().into());
                };
                segments = copy.segments;
                // Whoever gives up waiting here leaves what is known as it was, and it is asked again.
                let after = self.shelf.ask(move |model| model.take(place, before, &copy)).await?;
                let length = known.len().max(at + 1);
                known.resize(length, Known::default());
                known.iter_mut().skip(at).take(1).for_each(|known| *known = after);
                if after.has_all() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn known(&self, id: EntityId) -> Arc<tokio::sync::Mutex<Vec<Known>>> {
        self.chats().known.entry(id).or_default().clone()
    }
}

/// What the background is to bring up to date.
struct Due {
    all: bool,
    chats: BTreeSet<FourWords>,
}

impl Due {
    fn note(&mut self, notice: Result<Notice, RecvError>) {
        match notice {
            Ok(
                Notice::ChatChanged { entity: words, .. }
                | Notice::MembersChanged(words)
                | Notice::AcceptanceChanged(words)
                | Notice::SyncChanged(words),
            ) => drop(self.chats.insert(words)),
            Ok(Notice::Ready { .. } | Notice::Joined(_) | Notice::DevicesChanged) | Err(_) => self.all = true,
            Ok(
                Notice::Minting(_)
                | Notice::RequestsChanged(_)
                | Notice::PeerChanged { .. }
                | Notice::ReadOnly(_)
                | Notice::ThingsChanged { .. }
                | Notice::PresenceChanged(_),
            ) => {}
        }
    }
}
