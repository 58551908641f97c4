//! Makes one document of two that were folded apart.
//!
//! Two parts of a group that hear nothing of each other for long each forget the envelopes of what they
//! wrote, and have nothing to give to each other but the outcome: a snapshot. `folding` has it put together
//! with what is held here. Each block of the CRDT is one author's and has its place in one log, so of each
//! log whoever holds more gives what the other lacks. Invariant: nothing that is held here is replaced;
//! where the two hold other branches or other blocks of a log, nothing is made.

use std::collections::BTreeSet;

use super::live::{ClientOf, Live};
use super::snapshot::{Standing, Unfit};
use crate::ids::{DocumentKey, LogHead, LogId};
use crate::limits::FRAME_LOGS_MAX;

impl Live {
    /// This document and another copy of it as one, in which all that is flagged is pruned.
    pub(super) fn joined(
        &mut self,
        other: &mut Live,
        (key, client_of): (DocumentKey, ClientOf),
    ) -> Result<Live, Unfit> {
        let heads = [self.branches.heads(), other.branches.heads()];
        let logs: BTreeSet<LogId> = heads.iter().flat_map(|heads| heads.keys()).copied().collect();
        if logs.len() > FRAME_LOGS_MAX {
            return Err(Unfit::Other);
        }
        let mut live = Live::new(key, &self.concern);
        live.document = self.document.joined(&mut other.document).map_err(Unfit::State)?;
        live.grow(usize::try_from(self.bytes.max(other.bytes)).unwrap_or(usize::MAX));
        for log in logs {
            let is_longer = self.branches.length(&log) >= other.branches.length(&log);
            let (longer, shorter) = if is_longer { (&*self, &*other) } else { (&*other, &*self) };
            let Some(head) = longer.head(&log) else { return Err(Unfit::Other) };
            let (client, standing) = (client_of(&log), longer.standing(client_of, &log));
            let fits = shorter.head(&log).is_none_or(|before| {
                let was = shorter.standing(client_of, &log);
                let goes_on = was == Standing::Open && before.sequence < head.sequence;
                (goes_on || was == standing) && !longer.branches.contradicts(&log, &before)
            });
            live.begin_log_at(client, (log, head), standing, longer.known_to(&log).to_vec());
            if !fits || (standing != Standing::Displaced && !live.owns(client, &log)) {
                return Err(Unfit::Other);
            }
        }
        live.note_all();
        live.prune_flagged().map_err(Unfit::State)?;
        Ok(live)
    }

    fn head(&self, log: &LogId) -> Option<LogHead> {
        let sequence = self.branches.length(log);
        let hash = self.branches.at(log, sequence).filter(|_| sequence > 0)?;
        Some(LogHead { sequence, hash })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::super::live::{Void, client};
    use super::super::snapshot::tests::{
        DOCUMENT, PEOPLE, actor, begun, device, go_on, live, open, replica, take, write,
    };
    use super::super::{Author, Judged, Replica};
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::envelope::Envelope;
    use crate::epoch::EpochKey;
    use crate::ids::{EntityId, EnvelopeHash};
    use crate::update::document::DocumentError;

    const OF: (DocumentKey, ClientOf) = (DOCUMENT, client);

    /// Everybody's replica, and those of who listened to the first person alone, to the others alone, and
    /// to all: they wrote together before, and apart for so many rounds.
    fn parted(seed: u64) -> (Vec<Replica>, [Replica; 3], ChaCha20Rng) {
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let (mut replicas, mut listeners) =
            (vec![replica(), replica(), replica()], [(); 3].map(|()| replica()));
        let hear = |listener: &mut Replica, envelope: &Envelope| {
            assert!(matches!(take(listener, envelope), Judged::Applied(_) | Judged::Rejected(_)));
        };
        for _ in 0..20 {
            for envelope in go_on(&mut replicas, &mut random) {
                listeners.iter_mut().for_each(|listener| hear(listener, &envelope));
            }
        }
        for _ in 0..20 {
            for number in 1..=PEOPLE {
                let Some(envelope) = write(&mut replicas[usize::from(number) - 1], number, &mut random)
                else {
                    continue;
                };
                hear(&mut listeners[usize::from(number > 1)], &envelope);
                hear(&mut listeners[2], &envelope);
                if number > 1 {
                    hear(&mut replicas[if number == 2 { 2 } else { 1 }], &envelope);
                }
            }
        }
        for listener in &mut listeners {
            live(listener).prune_flagged().unwrap();
        }
        (replicas, listeners, random)
    }

    fn checkpoint(live: &Live) -> Checkpoint {
        let logs = live.reached(&live.branches.heads(), client);
        let (content, heads) = (live.content_digest(), Vec::new());
        Checkpoint { entity: EntityId([1; 32]), document: DOCUMENT, content, heads, logs }
    }

    #[test]
    fn two_that_were_folded_apart_are_as_one_that_heard_all_and_their_logs_go_on() {
        for seed in 0..20 {
            let (mut replicas, [mut one, mut other, mut whole], mut random) = parted(seed);
            let mut joined = live(&mut one).joined(live(&mut other), OF).unwrap();
            let mirrored = live(&mut other).joined(live(&mut one), OF).unwrap();
            let expected = checkpoint(live(&mut whole));
            assert_eq!(
                (checkpoint(&joined), checkpoint(&mirrored)),
                (expected.clone(), expected),
                "seed {seed}"
            );
            let bytes = joined.write_snapshot(&joined.branches.heads(), client).unwrap();
            let mut newcomer = replica();
            let opened = open(&bytes, &checkpoint(&joined)).unwrap();
            newcomer.heads = opened.branches.heads().into();
            *live(&mut newcomer) = opened;
            for _ in 0..10 {
                for number in 1..=PEOPLE {
                    let own = &mut replicas[usize::from(number) - 1];
                    let Some(envelope) = write(own, number, &mut random) else { continue };
                    let judged = take(&mut newcomer, &envelope);
                    assert_eq!(judged, take(&mut whole, &envelope), "seed {seed}");
                }
            }
            assert_eq!(checkpoint(live(&mut newcomer)), checkpoint(live(&mut whole)), "seed {seed}");
        }
    }

    #[test]
    fn whoever_holds_all_of_the_other_is_joined_with_it_to_what_it_is() {
        let (_, [mut one, _, mut whole], _) = parted(30);
        let joined = live(&mut one).joined(live(&mut whole), OF).unwrap();
        assert_eq!(checkpoint(&joined), checkpoint(live(&mut whole)));
    }

    #[test]
    fn other_branches_of_a_log_are_not_joined() {
        let (_, [mut one, mut other, _], _) = parted(31);
        let log = *live(&mut one).branches.heads().keys().find(|log| log.device == device(1).key()).unwrap();
        let sequence = live(&mut other).branches.length(&log);
        live(&mut other).branches.begin(log, LogHead { sequence, hash: EnvelopeHash([7; 32]) });
        assert_eq!(live(&mut one).joined(live(&mut other), OF).err(), Some(Unfit::Other));
        assert_eq!(live(&mut other).joined(live(&mut one), OF).err(), Some(Unfit::Other));
    }

    #[test]
    fn a_log_that_ended_for_one_and_went_on_for_the_other_is_not_joined() {
        let (_, [mut one, mut other, mut whole], _) = parted(33);
        let is_first = |log: &&LogId| log.device == device(1).key();
        let log = *live(&mut one).branches.heads().keys().find(is_first).unwrap();
        live(&mut one).ended.insert(log, Void::Ended);
        let joined = live(&mut one).joined(live(&mut other), OF).unwrap();
        assert_eq!(joined.standing(client, &log), Standing::Ended, "it ended behind what the other has");
        assert_eq!(live(&mut one).joined(live(&mut whole), OF).err(), Some(Unfit::Other));
        live(&mut other).ended.insert(log, Void::Ended);
        assert_eq!(live(&mut whole).joined(live(&mut other), OF).err(), Some(Unfit::Other));
    }

    #[test]
    fn what_one_holds_for_void_and_the_other_does_not_is_not_joined() {
        let mut random = ChaCha20Rng::seed_from_u64(32);
        let (mut replicas, mut one) = begun(&mut random);
        let (_, mut other) = begun(&mut ChaCha20Rng::seed_from_u64(32));
        let envelope = std::iter::repeat_with(|| write(&mut replicas[0], 1, &mut random)).flatten().next();
        let (envelope, key) = (envelope.unwrap(), EpochKey::new([9; 32]));
        assert!(matches!(take(&mut one, &envelope), Judged::Applied(_)));
        let viewer = Author { actor: actor(PEOPLE), key: &key, backdated: false };
        assert!(matches!(other.take(&envelope, viewer, |_, _| false), Judged::Rejected(_)));
        let refused = Some(Unfit::State(DocumentError::Stale));
        assert_eq!(live(&mut one).joined(live(&mut other), OF).err(), refused);
    }
}
