//! Brings the copy of what groups write up to date: when somebody reads, and in the background.
//!
//! The machine is asked what the copy lacks; its notices are hints alone, so that none can be
//! missed. What comes is written together with the digest that says what the copy now knows.

use std::collections::BTreeSet;
use std::time::Duration;

use fourword_protocol::command::{Command, Notice, PlaceView, Reply};
use fourword_protocol::ids::EntityId;
use fourword_protocol::limits::SEGMENTS_MAX;
use fourword_protocol::schema::Concern;
use fourword_protocol::words::FourWords;
use fourword_storage::read_model::{Known, ReadModel};
use tokio::sync::broadcast::error::RecvError;

use super::{Reading, Series, Trouble};
use crate::api::error::{Code, Problem};

/// How long changes gather before the copy follows in the background.
const GATHER: Duration = Duration::from_millis(250);

/// After which time the copy asks again for what was not settled, or what failed.
const AGAIN: Duration = Duration::from_secs(1);

impl Reading {
    /// Keeps the copy up to date until the node ends.
    pub async fn keep_up(self) {
        let mut notices = self.node.notices();
        let mut due = Due { all: true, places: BTreeSet::new() };
        loop {
            let followed = self.follow(&mut due).await;
            if followed.as_ref().is_err_and(|problem| problem.code == Code::NotRunning) {
                return;
            }
            let failed = followed.is_err();
            let notice = if failed || !due.places.is_empty() {
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
        if due.all || !due.places.is_empty() {
            let places = self.told_list().await?;
            let ids: Vec<EntityId> = places.iter().map(|place| place.id).collect();
            if due.all {
                self.mending(|| {
                    let ids = ids.clone();
                    self.shelf.ask(move |model| model.keep_only(&ids))
                })
                .await?;
            }
            for place in places.iter().filter(|place| due.all || due.places.contains(&place.words)) {
                self.mending(|| self.bring_up_named(place)).await?;
            }
        }
        *due = Due { all: false, places: self.unsettled() };
        Ok(())
    }

    /// Places of whose documents the copy has something that was not settled.
    fn unsettled(&self) -> BTreeSet<FourWords> {
        let places = self.places();
        // Whoever holds what is known brings it up to date and will see for itself.
        let is_unsettled =
            |known: &Series| known.try_lock().is_ok_and(|known| known.iter().any(Known::is_unsettled));
        let unsettled = places.known.iter().filter(|(_, known)| is_unsettled(known));
        let unsettled: BTreeSet<EntityId> = unsettled.map(|((id, _), _)| *id).collect();
        places.ids.iter().filter(|(_, id)| unsettled.contains(id)).map(|(words, _)| *words).collect()
    }

    /// Brings up a place and its name.
    async fn bring_up_named(&self, place: &PlaceView) -> Result<(), Trouble> {
        let id = place.id;
        if let Some(name) = place.name.clone() {
            self.shelf.ask(move |model| model.name(id, &name)).await?;
        }
        self.bring_up_all(std::slice::from_ref(place)).await
    }

    /// Brings up those documents of these places that the copy does not have as they stand.
    pub(super) async fn bring_up_all(&self, places: &[PlaceView]) -> Result<(), Trouble> {
        for (words, id, concern) in self.lacking(places).await? {
            self.bring_up(words, id, concern).await?;
        }
        Ok(())
    }

    /// The series of which the copy has not all, looked for in one go: most of them are as they were.
    async fn lacking(
        &self,
        places: &[PlaceView],
    ) -> Result<BTreeSet<(FourWords, EntityId, Concern)>, Trouble> {
        let mut looked_at = Vec::new();
        for place in places {
            let mut known = Vec::new();
            for stand in &place.documents {
                let series = self.known(place.id, stand.concern);
                let series = series.lock().await;
                let of_segment = index_of(stand.segment).and_then(|at| series.get(at));
                known.push(of_segment.copied().unwrap_or_default());
            }
            looked_at.push(known);
        }
        let places = places.to_vec();
        let look = move |model: &mut ReadModel| {
            model.keep_documents(&places)?;
            let mut lacking = BTreeSet::new();
            for (place, known) in places.iter().zip(&looked_at) {
                for (stand, known) in place.documents.iter().zip(known) {
                    // Who asked before it was settled asks again, so that the copy knows its digest.
                    let is_settled_now = known.is_unsettled() && stand.digest.is_some();
                    if is_settled_now || !model.has(place.id, stand, known)? {
                        lacking.insert((place.words, place.id, stand.concern));
                    }
                }
            }
            Ok(lacking)
        };
        self.shelf.ask(look).await
    }

    /// Brings the copy of one series of documents up to date, segment by segment.
    pub(super) async fn bring_up(
        &self,
        words: FourWords,
        id: EntityId,
        concern: Concern,
    ) -> Result<(), Trouble> {
        let known = self.known(id, concern);
        let mut known = known.lock().await;
        let mut segments = 1;
        for (segment, at) in (1..=SEGMENTS_MAX).zip(0..) {
            if segment > segments {
                break;
            }
            loop {
                let mut before = known.get(at).copied().unwrap_or_default();
                let document = (id, concern, segment);
                let asked = self.shelf.ask(move |model| Ok((model.lacking(document, &mut before)?, before)));
                let (copied, before) = asked.await?;
                let command = Command::Copy { entity: words, concern, segment, known: copied };
                let Reply::Copy(copy) = self.ask(command).await? else {
                    return Err(Problem::mismatch().into());
                };
                segments = copy.segments;
                // Whoever gives up waiting here leaves what is known as it was, and it is asked again.
                let after = self.shelf.ask(move |model| model.take(document, before, &copy)).await?;
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

    fn known(&self, id: EntityId, concern: Concern) -> Series {
        self.places().known.entry((id, concern)).or_default().clone()
    }
}

/// Where in a series what is known of a segment stands.
fn index_of(segment: u32) -> Option<usize> {
    usize::try_from(segment.checked_sub(1)?).ok()
}

/// What the background is to bring up to date.
struct Due {
    all: bool,
    places: BTreeSet<FourWords>,
}

impl Due {
    fn note(&mut self, notice: Result<Notice, RecvError>) {
        match notice {
            Ok(
                Notice::ChatChanged { entity: words, .. }
                | Notice::ThingsChanged { entity: words, .. }
                | Notice::EntityChanged(words)
                | Notice::MembersChanged(words)
                | Notice::AcceptanceChanged(words)
                | Notice::SyncChanged(words),
            ) => drop(self.places.insert(words)),
            Ok(Notice::Ready { .. } | Notice::Joined(_) | Notice::DevicesChanged) | Err(_) => self.all = true,
            Ok(
                Notice::Minting(_)
                | Notice::HomeChanged
                | Notice::RequestsChanged(_)
                | Notice::PeerChanged { .. }
                | Notice::ReadOnly(_)
                | Notice::TextChanged { .. }
                | Notice::PresenceChanged(_),
            ) => {}
        }
    }
}
