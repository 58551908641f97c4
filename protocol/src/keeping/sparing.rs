//! Asks others whether they hold all that a device is about to drop: only then can it be spared.
//!
//! A status is what machines have in memory, and two devices that each see the other in sync could drop
//! a document in the same moment. So whoever wants to drop asks, and whoever holds the same answers
//! once that is on its disk, unless it is asking itself. Invariant: who asks says to nobody that it
//! holds the document. Whoever was relied on can then itself have asked only later than who relied on
//! it, so that of any devices that dropped a document the last one relied on somebody who keeps it.

use std::collections::BTreeMap;

use super::Series;
use crate::command::{CommandId, Refusal, RefusalCode};
use crate::entity::Entity;
use crate::ids::{DeviceKey, Digest, DocumentKey, EntityId};
use crate::limits::SEGMENTS_MAX;
use crate::outbox::{After, refusal};
use crate::replicator::Replicator;
use crate::time::{Duration, Instant};
use crate::wire::{Frame, Spare};
use crate::words::FourWords;

/// How long others have to answer.
const SPARED_WITHIN: Duration = Duration::from_secs(10);

/// How often a device may ask: a burst, then once for each stretch of time.
const ASKS_BURST: u64 = 16;
const ASKS_EVERY: Duration = Duration::from_secs(1);

/// Documents by their state vectors' digests.
type Held = Vec<(DocumentKey, Digest)>;

/// A series that is to be dropped once somebody says to hold it.
#[derive(Debug)]
pub(crate) struct Leaving {
    /// An answer that comes when it was given up already is none to the next question.
    number: u64,
    asker: CommandId,
    words: FourWords,
    entity: EntityId,
    series: Series,
    until: Instant,
    /// Who was asked, and what.
    asked: BTreeMap<DeviceKey, Held>,
}

impl Entity {
    /// What is to be held by who spares a series: nothing of what nobody wrote in. Refused while anything
    /// of this device waits to be sealed, or of others to be read, and while what its person wrote counts
    /// for nobody: others may not hold that.
    fn to_be_held(&self, words: FourWords, series: Series) -> Result<Held, Refusal> {
        let kept = self.kept(series);
        if kept.iter().any(|replica| replica.unaccepted.is_some_and(|count| count > 0)) {
            return Err(unaccepted(words, series));
        }
        let is_settled = kept.iter().all(|replica| {
            replica.is_sealed() && replica.waiting.is_empty() && replica.unconfirmed.is_none()
        });
        let begun = kept.into_iter().filter(|replica| !replica.heads.is_empty());
        let held = || begun.map(|replica| (replica.key, replica.heads.digest())).collect();
        is_settled.then(held).ok_or_else(|| incomplete(words, series))
    }

    fn holds(&self, documents: &[(DocumentKey, Digest)]) -> bool {
        let is_held = |(document, digest): &(DocumentKey, Digest)| {
            self.replicas.get(document).is_some_and(|replica| replica.heads.digest() == *digest)
        };
        !documents.is_empty() && documents.iter().all(is_held)
    }
}

impl Replicator {
    /// Drops a series at once if nobody wrote in it, else asks who is seen to have all of it.
    pub(super) fn leave_series(
        &mut self,
        asker: CommandId,
        words: FourWords,
        (id, series): (EntityId, Series),
    ) -> Result<(), Refusal> {
        if self.leaving.iter().any(|leaving| leaving.series == series) {
            let message = format!("the {} of {words} is being dropped already", series.1.name());
            return Err(refusal(RefusalCode::Pending, message, "wait for that"));
        }
        let held = self.entities.get(&id).map(|entity| entity.to_be_held(words, series));
        let held = held.unwrap_or_else(|| Err(incomplete(words, series)))?;
        if held.is_empty() {
            self.stop_series(asker, (id, series));
            return Ok(());
        }
        let until = self.now.instant + SPARED_WITHIN;
        self.leavings += 1;
        let number = self.leavings;
        let mut leaving = Leaving { number, asker, words, entity: id, series, until, asked: BTreeMap::new() };
        for device in self.in_sync_with(id, series) {
            leaving.asked.insert(device, held.clone());
        }
        if leaving.asked.is_empty() {
            return Err(leaving.refusal());
        }
        for device in leaving.asked.keys() {
            let documents = held.clone();
            self.out.send(*device, &Frame::Spare { entity: id, number, documents, says: Spare::Asks });
        }
        self.leaving.push(leaving);
        self.out.wake_at(until);
        Ok(())
    }

    /// A peer asks whether it can be spared, or answers.
    pub(crate) fn their_spare(
        &mut self,
        from: DeviceKey,
        (id, number): (EntityId, u64),
        documents: Held,
        says: Spare,
    ) {
        if documents.len() > usize::try_from(SEGMENTS_MAX).unwrap_or(usize::MAX) {
            return self.blame(from, "too many documents to be spared");
        }
        let shares = self.sessions.get(&from).is_some_and(|session| session.shared.contains_key(&id));
        if !shares || self.entities.get(&id).is_none_or(|entity| entity.member(from).is_none()) {
            return self.drop_counted("a stranger asks to be spared");
        }
        match says {
            Spare::Asks => {
                let session = self.sessions.get_mut(&from);
                if !session.is_some_and(|s| s.spares.take(self.now.instant, ASKS_BURST, ASKS_EVERY)) {
                    return self.drop_counted("asked to be spared too often");
                }
                match self.spares(id, &documents) {
                    // An answer in its turn: all that was taken before is on disk then.
                    true => {
                        let answer = After::Spare { to: from, of: (id, number), documents };
                        self.out.write(Vec::new(), vec![answer]);
                    }
                    false => {
                        let says = Spare::No;
                        self.out.send(from, &Frame::Spare { entity: id, number, documents, says });
                    }
                }
            }
            Spare::Yes => self.spared(from, (id, number), documents),
            Spare::No => self.not_spared(from, |leaving| (leaving.entity, leaving.number) == (id, number)),
        }
    }

    /// Whether this device holds these documents, and may say so.
    fn spares(&self, id: EntityId, documents: &[(DocumentKey, Digest)]) -> bool {
        let Some(entity) = self.entities.get(&id).filter(|_| self.read_only.is_none()) else { return false };
        let is_asking = |document: &DocumentKey| {
            let series = entity.replicas.get(document).map(|replica| (replica.of, replica.concern));
            self.leaving.iter().any(|leaving| Some(leaving.series) == series)
        };
        self.actor(id).is_some()
            && entity.holds(documents)
            && !documents.iter().any(|(document, _)| is_asking(document))
    }

    /// What was taken before a peer asked is on disk.
    pub(crate) fn answer_spare(&mut self, to: DeviceKey, (id, number): (EntityId, u64), documents: Held) {
        let says = if self.spares(id, &documents) { Spare::Yes } else { Spare::No };
        self.out.send(to, &Frame::Spare { entity: id, number, documents, says });
    }

    /// A peer holds what it was asked for: if that is still all, this device drops it.
    fn spared(&mut self, from: DeviceKey, (id, number): (EntityId, u64), documents: Held) {
        let is_asked = |leaving: &&mut Leaving| {
            (leaving.entity, leaving.number) == (id, number)
                && leaving.asked.get(&from).is_some_and(|asked| *asked == documents)
        };
        let Some(leaving) = self.leaving.iter_mut().find(is_asked) else {
            return self.drop_counted("spared without having asked");
        };
        let (asker, words, series) = (leaving.asker, leaving.words, leaving.series);
        let entity = self.entities.get(&id).filter(|_| self.read_only.is_none());
        let held = entity.map(|entity| entity.to_be_held(words, series));
        match held.unwrap_or_else(|| Err(incomplete(words, series))) {
            Ok(now) if now == documents => {
                self.leaving.retain(|leaving| leaving.number != number);
                self.stop_series(asker, (id, series));
            }
            // More came meanwhile, which it may have too.
            Ok(now) => {
                leaving.asked.insert(from, now.clone());
                let says = Spare::Asks;
                self.out.send(from, &Frame::Spare { entity: id, number, documents: now, says });
            }
            Err(refusal) => {
                self.leaving.retain(|leaving| leaving.number != number);
                self.out.refuse(asker, refusal);
            }
        }
    }

    /// A peer does not hold what it was asked for, or is gone.
    pub(crate) fn not_spared(&mut self, from: DeviceKey, of: impl Fn(&Leaving) -> bool) {
        for leaving in self.leaving.iter_mut().filter(|leaving| of(leaving)) {
            leaving.asked.remove(&from);
        }
        self.end_leaving(|leaving| leaving.asked.is_empty());
    }

    /// Gives up what nobody answered in time.
    pub(crate) fn tend_leaving(&mut self) {
        let now = self.now.instant;
        self.end_leaving(|leaving| leaving.until <= now);
        if let Some(next) = self.leaving.iter().map(|leaving| leaving.until).min() {
            self.out.wake_at(next);
        }
    }

    /// Refuses those who wait for a series to be dropped.
    pub(crate) fn end_leaving(&mut self, is_over: impl Fn(&Leaving) -> bool) {
        let (over, left) = std::mem::take(&mut self.leaving).into_iter().partition(is_over);
        self.leaving = left;
        let over: Vec<Leaving> = over;
        for leaving in over {
            self.out.refuse(leaving.asker, leaving.refusal());
        }
    }
}

fn unaccepted(words: FourWords, (_, concern): Series) -> Refusal {
    let name = concern.name();
    let message =
        format!("what you wrote in the {name} of {words} and does not count is on this device alone");
    refusal(RefusalCode::Pending, message, format!("`fourword sync unaccepted {words}` shows it"))
}

fn incomplete(words: FourWords, (_, concern): Series) -> Refusal {
    let message = format!("the {} of {words} is not complete here", concern.name());
    refusal(RefusalCode::Pending, message, "see `fourword sync status`, and try again later")
}

impl Leaving {
    fn refusal(&self) -> Refusal {
        let name = self.series.1.name();
        let message =
            format!("no device that is connected says that it holds all of the {name} of {}", self.words);
        let hint = "connect to somebody who has all of it and keeps it: see `fourword sync status`";
        refusal(RefusalCode::Pending, message, hint)
    }
}
