//! Which envelopes of each log count at one replica, and which others lie on its disk.
//!
//! A log is a chain, but its author can write two envelopes for one place: a fork. `replica` puts
//! what it takes at the end of the chain and what does not count aside; [`Branches::choose`] says
//! which branch counts. Its answer is a function of the envelopes held and of the head that the
//! roster names, and the better of two branches is better everywhere, so replicas that show each
//! other what they hold end with one chain. Hashes are kept in memory while the document is, so
//! that a fork is seen wherever it lies; below a snapshot nothing is asked any more: there the branch
//! that it covers counts for good.

use std::collections::{BTreeMap, BTreeSet};

use crate::envelope::{Envelope, Header};
use crate::ids::{EnvelopeHash, LogHead, LogId};

/// Before the first envelope of a log.
const ROOT: EnvelopeHash = EnvelopeHash([0; 32]);

/// Of places where several envelopes stand, the one that counts.
pub(crate) type Choices = BTreeMap<u64, EnvelopeHash>;

/// The logs of one document.
#[derive(Debug, Default)]
pub(crate) struct Branches {
    logs: BTreeMap<LogId, Log>,
}

#[derive(Debug, Default)]
struct Log {
    /// Up to where a snapshot covers it.
    base: Option<LogHead>,
    /// What counts behind that.
    chain: Vec<EnvelopeHash>,
    /// What else is on disk, by place, with what it follows.
    sides: BTreeMap<(u64, EnvelopeHash), EnvelopeHash>,
}

/// How an envelope stands to what is held of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    /// It is the next one.
    Next,
    /// It is held, on whichever branch.
    Held,
    /// It stands beside another one, or follows one that does.
    Beside,
    /// What it follows is not held: it comes early, or the branches part before it.
    Apart,
}

impl Branches {
    /// How far a log counts.
    pub(crate) fn length(&self, log: &LogId) -> u64 {
        self.logs.get(log).map_or(0, Log::length)
    }

    /// Where each log stands.
    pub(crate) fn heads(&self) -> BTreeMap<LogId, LogHead> {
        let head = |log: &Log| LogHead { sequence: log.length(), hash: log.at(log.length()).unwrap_or(ROOT) };
        self.logs.iter().map(|(id, log)| (*id, head(log))).collect()
    }

    /// The envelope that counts at a position; all zero at 0.
    pub(crate) fn at(&self, log: &LogId, sequence: u64) -> Option<EnvelopeHash> {
        if sequence == 0 { Some(ROOT) } else { self.logs.get(log)?.at(sequence) }
    }

    /// Whether a head shown by somebody contradicts the chain.
    pub(crate) fn contradicts(&self, log: &LogId, head: &LogHead) -> bool {
        self.at(log, head.sequence).is_some_and(|hash| hash != head.hash)
    }

    /// How an envelope stands to what is held.
    pub(crate) fn stands(&self, header: &Header, hash: EnvelopeHash) -> Stands {
        let none = Log::default();
        let log = self.logs.get(&header.log).unwrap_or(&none);
        let sequence = header.sequence;
        if sequence <= log.base().sequence {
            return Stands::Held;
        }
        if log.at(sequence) == Some(hash) || log.sides.contains_key(&(sequence, hash)) {
            return Stands::Held;
        }
        let follows_chain = self.at(&header.log, sequence.saturating_sub(1)) == Some(header.previous);
        if follows_chain {
            return if sequence == log.length().saturating_add(1) { Stands::Next } else { Stands::Beside };
        }
        let follows_side = log.sides.contains_key(&(sequence.saturating_sub(1), header.previous));
        if follows_side { Stands::Beside } else { Stands::Apart }
    }

    /// Begins a log behind what a snapshot covers of it.
    pub(crate) fn begin(&mut self, log: LogId, base: LogHead) {
        self.logs.insert(log, Log { base: Some(base), ..Log::default() });
    }

    /// Puts the next envelope at the end of its log.
    pub(crate) fn push(&mut self, log: LogId, hash: EnvelopeHash) {
        self.logs.entry(log).or_default().chain.push(hash);
    }

    /// Notes an envelope that is on disk and does not count.
    pub(crate) fn set_aside(&mut self, envelope: &Envelope) {
        let header = &envelope.header;
        let log = self.logs.entry(header.log).or_default();
        log.sides.insert((header.sequence, envelope.hash()), header.previous);
    }

    /// Logs of which anything was set aside.
    pub(crate) fn forked(&self) -> Vec<LogId> {
        self.logs.iter().filter(|(_, log)| !log.sides.is_empty()).map(|(id, _)| *id).collect()
    }

    /// Whether anything of a log was set aside.
    pub(crate) fn is_forked(&self, log: &LogId) -> bool {
        self.logs.get(log).is_some_and(|log| !log.sides.is_empty())
    }

    /// Whether anything stands beside the chain at this position.
    pub(crate) fn has_beside(&self, log: &LogId, sequence: u64) -> bool {
        let previous = self.at(log, sequence.saturating_sub(1));
        self.logs.get(log).is_some_and(|log| log.beside(sequence).any(|(_, of)| Some(of) == previous))
    }

    /// What was set aside at these positions of a log.
    pub(crate) fn aside(&self, log: &LogId, after: u64, count: u64) -> Vec<EnvelopeHash> {
        let Some(log) = self.logs.get(log) else { return Vec::new() };
        let from = (after.saturating_add(1), ROOT);
        let to = after.saturating_add(count);
        log.sides
            .range(from..)
            .map(|(place, _)| *place)
            .take_while(|(at, _)| *at <= to)
            .map(|p| p.1)
            .collect()
    }

    /// Where the branch of an envelope that was set aside, or follows one that was, parts from the
    /// chain.
    pub(crate) fn parts_at(&self, header: &Header) -> u64 {
        let (mut sequence, mut previous) = (header.sequence, header.previous);
        while self.at(&header.log, sequence.saturating_sub(1)) != Some(previous) {
            sequence = sequence.saturating_sub(1);
            let before = self.logs.get(&header.log).and_then(|log| log.sides.get(&(sequence, previous)));
            let Some(before) = before else { return 1 };
            previous = *before;
        }
        sequence
    }

    /// Whether the branch that contains this head is the one that counts.
    pub(crate) fn contains(&self, log: &LogId, head: &LogHead) -> bool {
        let covered = self.logs.get(log).is_some_and(|log| head.sequence < log.base().sequence);
        covered || self.at(log, head.sequence) == Some(head.hash)
    }

    /// The choices by which a log should be read, and the first position at which they leave the
    /// chain as it is, if they do.
    ///
    /// The branch that contains the named head counts; elsewhere, where branches part, the one
    /// whose first envelope has the smaller hash. What is in `blocked` cannot be taken now.
    pub(crate) fn choose(
        &self,
        log: &LogId,
        named: Option<LogHead>,
        blocked: &BTreeSet<EnvelopeHash>,
    ) -> (Choices, Option<u64>) {
        let (mut choices, none) = (Choices::new(), Log::default());
        let log = self.logs.get(log).unwrap_or(&none);
        let way = named.map(|head| log.way_to(&head)).unwrap_or_default();
        let pinned = named.filter(|head| log.at(head.sequence) == Some(head.hash)).map_or(0, |h| h.sequence);
        let mut parts: BTreeSet<u64> = log.sides.keys().map(|(at, _)| *at).collect();
        // Where the way leaves the chain, and the side branch that it has come to then.
        let mut left: Option<u64> = None;
        let mut reached: Option<(u64, EnvelopeHash)> = None;
        while let Some(at) = parts.pop_first() {
            let previous = match reached {
                Some((before, hash)) if before.checked_add(1) == Some(at) => hash,
                Some(_) => break,
                None => match log.before(at) {
                    Some(hash) => hash,
                    None => break,
                },
            };
            let on_chain = log.at(at).filter(|_| left.is_none());
            let beside = log.beside(at).filter(|(hash, of)| *of == previous && !blocked.contains(hash));
            let candidates: Vec<EnvelopeHash> = beside.map(|(hash, _)| hash).chain(on_chain).collect();
            let best = match (way.get(&at).filter(|hash| candidates.contains(hash)), on_chain) {
                (Some(hash), _) => Some(*hash),
                (None, Some(hash)) if at <= pinned => Some(hash),
                _ => candidates.into_iter().min(),
            };
            let Some(best) = best else {
                // A side branch that ends here; on the chain, places further on still matter.
                if left.is_some() { break } else { continue }
            };
            choices.insert(at, best);
            if on_chain != Some(best) {
                left.get_or_insert(at);
                reached = Some((at, best));
            }
        }
        (choices, left)
    }
}

impl Log {
    fn base(&self) -> LogHead {
        self.base.unwrap_or(LogHead { sequence: 0, hash: ROOT })
    }

    fn length(&self) -> u64 {
        self.base().sequence.saturating_add(u64::try_from(self.chain.len()).unwrap_or(u64::MAX))
    }

    fn at(&self, sequence: u64) -> Option<EnvelopeHash> {
        match sequence.checked_sub(self.base().sequence)? {
            0 => Some(self.base().hash).filter(|_| sequence > 0),
            place => self.chain.get(usize::try_from(place.checked_sub(1)?).ok()?).copied(),
        }
    }

    fn before(&self, sequence: u64) -> Option<EnvelopeHash> {
        if sequence == 1 && self.base.is_none() { Some(ROOT) } else { self.at(sequence.checked_sub(1)?) }
    }

    /// What was set aside at a position, and what each follows.
    fn beside(&self, sequence: u64) -> impl Iterator<Item = (EnvelopeHash, EnvelopeHash)> {
        let range = (sequence, ROOT)..=(sequence, EnvelopeHash([u8::MAX; 32]));
        self.sides.range(range).map(|((_, hash), previous)| (*hash, *previous))
    }

    /// The side branch that leads from the chain to a head, if all of it is held.
    fn way_to(&self, head: &LogHead) -> Choices {
        let (mut way, mut at) = (Choices::new(), *head);
        while let Some(previous) = self.sides.get(&(at.sequence, at.hash)) {
            way.insert(at.sequence, at.hash);
            let Some(sequence) = at.sequence.checked_sub(1) else { return Choices::new() };
            at = LogHead { sequence, hash: *previous };
            if self.before(sequence.saturating_add(1)) == Some(at.hash) {
                return way;
            }
        }
        Choices::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DeviceKey, DocumentKey, Incarnation};

    fn log() -> LogId {
        LogId { document: DocumentKey([1; 32]), device: DeviceKey([2; 32]), incarnation: Incarnation(3) }
    }

    fn hash(number: u8) -> EnvelopeHash {
        EnvelopeHash([number; 32])
    }

    /// Branches with this chain, and these set aside, each with its place and what it follows.
    fn branches(chain: &[u8], sides: &[(u64, u8, u8)]) -> Branches {
        let sides = sides.iter().map(|(at, number, of)| ((*at, hash(*number)), hash(*of))).collect();
        let chain = chain.iter().map(|number| hash(*number)).collect();
        Branches { logs: BTreeMap::from([(log(), Log { base: None, chain, sides })]) }
    }

    fn chosen(branches: &Branches, named: Option<(u64, u8)>) -> (Vec<(u64, u8)>, Option<u64>) {
        let named = named.map(|(sequence, number)| LogHead { sequence, hash: hash(number) });
        let (choices, left) = branches.choose(&log(), named, &BTreeSet::new());
        (choices.into_iter().map(|(at, hash)| (at, hash.0[0])).collect(), left)
    }

    #[test]
    fn where_branches_part_the_smaller_hash_counts_however_long_they_are() {
        assert_eq!(chosen(&branches(&[5, 6, 7], &[(2, 4, 5)]), None), (vec![(2, 4)], Some(2)));
        assert_eq!(chosen(&branches(&[5, 6], &[(2, 8, 5), (3, 1, 8)]), None).1, None);
        assert_eq!(chosen(&branches(&[5, 6, 7], &[(2, 9, 5), (3, 1, 6)]), None).1, Some(3));
    }

    #[test]
    fn of_three_branches_and_their_branches_the_smallest_way_counts() {
        let sides = [(1, 3, 0), (1, 4, 0), (2, 8, 3), (2, 9, 3), (2, 1, 4), (3, 2, 9)];
        let (choices, left) = chosen(&branches(&[5, 6], &sides), None);
        assert_eq!((choices, left), (vec![(1, 3), (2, 8)], Some(1)));
    }

    #[test]
    fn the_branch_of_the_named_head_counts_before_the_smaller_hash() {
        let kept = branches(&[5, 6, 7], &[(2, 4, 5), (3, 1, 6)]);
        assert_eq!(chosen(&kept, Some((3, 7))).1, None, "what the named head follows stays");
        assert_eq!(chosen(&branches(&[5, 6, 7], &[(3, 4, 6)]), Some((2, 6))).1, Some(3), "free above it");
        let other = branches(&[5, 4, 7], &[(2, 6, 5), (3, 9, 6), (3, 1, 6)]);
        assert_eq!(chosen(&other, Some((3, 9))), (vec![(2, 6), (3, 9)], Some(2)));
        assert_eq!(chosen(&other, Some((4, 9))).1, None, "a head that is not held names nothing yet");
    }

    #[test]
    fn what_cannot_be_taken_is_not_chosen() {
        let branches = branches(&[5, 6], &[(2, 4, 5)]);
        let (_, left) = branches.choose(&log(), None, &BTreeSet::from([hash(4)]));
        assert_eq!(left, None);
    }

    #[test]
    fn a_branch_parts_from_the_chain_where_its_first_envelope_stands_beside_it() {
        let branches = branches(&[5, 6, 7], &[(2, 8, 5), (3, 9, 8)]);
        let header = |sequence, of: u8| Header {
            log: log(),
            sequence,
            previous: hash(of),
            heads: Vec::new(),
            epoch: crate::ids::StatementId([0; 32]),
        };
        assert_eq!(branches.parts_at(&header(2, 5)), 2);
        assert_eq!(branches.parts_at(&header(3, 8)), 2);
        assert_eq!(branches.parts_at(&header(4, 9)), 2);
        assert_eq!(branches.parts_at(&header(4, 1)), 1, "nobody knows: all of it is needed");
    }

    #[test]
    fn behind_a_snapshot_a_log_goes_on_and_below_it_nothing_is_asked() {
        let header = |sequence, of: u8| Header {
            log: log(),
            sequence,
            previous: hash(of),
            heads: Vec::new(),
            epoch: crate::ids::StatementId([0; 32]),
        };
        let head = |sequence, number| LogHead { sequence, hash: hash(number) };
        let mut branches = Branches::default();
        branches.begin(log(), head(7, 5));
        assert_eq!((branches.length(&log()), branches.at(&log(), 7)), (7, Some(hash(5))));
        assert_eq!(branches.stands(&header(3, 1), hash(2)), Stands::Held);
        assert_eq!(branches.stands(&header(8, 5), hash(6)), Stands::Next);
        assert_eq!(branches.stands(&header(8, 4), hash(6)), Stands::Apart, "it follows another branch");
        branches.push(log(), hash(6));
        assert_eq!((branches.length(&log()), branches.at(&log(), 8)), (8, Some(hash(6))));
        assert_eq!(branches.stands(&header(8, 5), hash(9)), Stands::Beside);
        assert!(branches.contains(&log(), &head(3, 99)) && branches.contains(&log(), &head(8, 6)));
        assert!(!branches.contradicts(&log(), &head(3, 99)) && branches.contradicts(&log(), &head(7, 9)));
    }

    #[test]
    fn a_branch_whose_beginning_is_not_held_is_not_chosen() {
        assert_eq!(chosen(&branches(&[5, 6], &[(3, 1, 9), (4, 2, 1)]), Some((4, 2))).1, None);
        assert_eq!(chosen(&branches(&[], &[(3, 1, 9)]), None).1, None);
    }
}
