//! Finds which entity has some four words, by asking devices for its genesis.
//!
//! Anybody may answer, with anything: the genesis must be signed and certified, and the words must
//! be stretched from its id. Stretching is what costs, so devices take turns and all together have
//! a bounded share: who lies takes no turn from who does not. One valid candidate is joined, once
//! the others had time to answer; of two neither is picked.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;

use super::{Asking, Join, RETRY_FIRST, RETRY_MAX, Right, read_peers, write_peers};
use crate::bytes::{Malformed, Reader, Writer};
use crate::command::{CommandId, JoinState, JoinView, Kind, Refusal, RefusalCode};
use crate::effect::Effect;
use crate::ids::{DeviceKey, Digest, EntityId};
use crate::limits::{NAME_CANDIDATES_MAX, NOTE_BYTES_MAX, PARENTS_MAX};
use crate::names::Names;
use crate::outbox::{local, refusal};
use crate::record::Record;
use crate::replicator::Replicator;
use crate::roster::{Genesis, Roster, Statement};
use crate::session::Allowance;
use crate::time::{Duration, Instant};
use crate::wire::Frame;
use crate::words::FourWords;

/// The kind of the small values that keep the words being sought.
pub(crate) const SEEK: &str = "seek";

/// How long after a valid answer others may still give another one.
const OTHERS_MAY_ANSWER: Duration = Duration::from_secs(2);

/// How long until one more candidate may be stretched, once the first few were.
const CANDIDATES_EVERY: Duration = Duration::from_secs(60);

/// How often a device may seek here: a burst, then one for each stretch of time.
const SEEKS_BURST: u64 = 64;
const SEEKS_EVERY: Duration = Duration::from_secs(1);

/// A join to words of which the entity is not known yet.
#[derive(Debug)]
pub(crate) struct Seeking {
    note: String,
    peers: Vec<String>,
    asker: Option<CommandId>,
    /// What each connected device that was asked has answered.
    answers: BTreeMap<DeviceKey, Answer>,
    /// How many candidates may be stretched.
    stretches: Allowance,
    /// The candidate whose stretch is under way.
    stretching: Option<EntityId>,
    /// When others have had their time to answer too, once somebody has.
    decide_at: Option<Instant>,
    next: Instant,
    pause: Duration,
}

/// What one device gave for the words.
#[derive(Debug, Default)]
struct Answer {
    come: bool,
    /// At most `NAME_CANDIDATES_MAX`.
    candidates: Vec<Candidate>,
    /// How many of them were stretched on its word.
    stretched: usize,
}

/// An entity that may have the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// The words must be stretched from its id.
    bearer: EntityId,
    /// Whose roster counts for it: itself, or the parent above all its parents.
    root: EntityId,
}

impl Seeking {
    fn new(note: String, peers: Vec<String>, asker: Option<CommandId>) -> Seeking {
        Seeking {
            note,
            peers,
            asker,
            answers: BTreeMap::new(),
            stretches: Allowance::default(),
            stretching: None,
            decide_at: None,
            next: Instant::default(),
            pause: RETRY_FIRST,
        }
    }

    fn record(&self, words: FourWords) -> Record {
        let mut writer = Writer::new();
        writer.text(&self.note);
        write_peers(&mut writer, &self.peers);
        local(SEEK, &words.to_bytes(), Some(writer.into_bytes()))
    }

    /// Reads what `record` wrote.
    pub(crate) fn read(of: &[u8], value: &[u8]) -> Result<(FourWords, Seeking), Malformed> {
        let words = FourWords::from_bytes(of.try_into().map_err(|_| Malformed)?);
        let mut reader = Reader::new(value);
        let note = reader.text(NOTE_BYTES_MAX)?.to_owned();
        let peers = read_peers(&mut reader)?;
        reader.finish()?;
        Ok((words, Seeking::new(note, peers, None)))
    }

    /// Candidates that were stretched and have the words.
    fn valid(&self, words: FourWords, names: &Names) -> BTreeSet<Candidate> {
        let candidates = self.answers.values().flat_map(|answer| answer.candidates.iter().copied());
        candidates.filter(|candidate| names.entity(candidate.bearer) == Some(words)).collect()
    }

    /// The candidate to stretch next: of the device on whose word fewest were.
    fn next_candidate(&mut self, names: &Names, now: Instant) -> Option<EntityId> {
        let open = |answer: &Answer| {
            answer.candidates.iter().map(|candidate| candidate.bearer).find(|id| !names.is_known(&id.0))
        };
        let burst = u64::try_from(NAME_CANDIDATES_MAX).unwrap_or(u64::MAX);
        let answers = self.answers.values_mut().filter(|answer| open(answer).is_some());
        let answer = answers.min_by_key(|answer| answer.stretched)?;
        if !self.stretches.take(now, burst, CANDIDATES_EVERY) {
            return None;
        }
        answer.stretched += 1;
        open(answer)
    }
}

impl Replicator {
    /// Begins to look for the entity of these words; what is found is joined.
    pub(super) fn begin_seeking(
        &mut self,
        asker: CommandId,
        words: FourWords,
        note: String,
        peers: Vec<String>,
    ) {
        let seeking = Seeking::new(note, peers, Some(asker));
        let record = seeking.record(words);
        if let Some(before) = self.seeks.insert(words, seeking).and_then(|before| before.asker) {
            let message = "the same join was asked for again";
            self.out.refuse(before, refusal(RefusalCode::Pending, message, ""));
        }
        self.refused_joins.retain(|refused| refused.words != words);
        self.out.write(vec![record], Vec::new());
        self.try_seeks();
        self.search_soon();
    }

    /// Asks, stretches and decides for all words that are sought, as far as can be done now.
    pub(crate) fn try_seeks(&mut self) {
        if !self.opening.done {
            return;
        }
        let now = self.now.instant;
        for (words, seeking) in &mut self.seeks {
            self.names.want_lookup_first(*words, &mut self.out);
            if seeking.next <= now {
                seeking.next = now + seeking.pause + Duration(self.random.next_u64() % 500);
                seeking.pause = Duration((seeking.pause.0 * 2).min(RETRY_MAX.0));
                // Who knew nothing may know by now.
                seeking.answers.retain(|_, answer| !answer.candidates.is_empty());
                for address in &seeking.peers {
                    self.out.push(Effect::Connect(address.clone()));
                }
            }
            self.out.wake_at(seeking.next);
        }
        let devices: Vec<DeviceKey> = self.sessions.keys().copied().collect();
        for device in devices {
            self.seek(device);
        }
        let sought: Vec<FourWords> = self.seeks.keys().copied().collect();
        for words in sought {
            self.weigh_candidates(words);
        }
    }

    /// Asks one device for all words that are sought, unless it was asked already.
    pub(crate) fn seek(&mut self, device: DeviceKey) {
        if !self.sessions.contains_key(&device) {
            return;
        }
        for (words, seeking) in &mut self.seeks {
            let Some(lookup) = self.names.lookup(*words) else { continue };
            if let Entry::Vacant(unasked) = seeking.answers.entry(device) {
                unasked.insert(Answer::default());
                self.out.send(device, &Frame::Seek(lookup));
            }
        }
    }

    /// A device is gone, and with it what it claimed and nobody has checked.
    pub(crate) fn lose_answers(&mut self, device: DeviceKey) {
        for (words, seeking) in &mut self.seeks {
            if let Some(answer) = seeking.answers.get_mut(&device) {
                answer.come = true;
                answer.candidates.retain(|of| self.names.entity(of.bearer) == Some(*words));
            }
            let lost = |answer: &Answer| answer.candidates.is_empty();
            if seeking.answers.get(&device).is_some_and(lost) {
                seeking.answers.remove(&device);
            }
        }
    }

    /// A device answers which entities of sought words it is in.
    pub(crate) fn found(&mut self, from: DeviceKey, lookup: Digest, genesis: &[Vec<u8>]) {
        if self.takes_home(from, lookup, genesis) {
            return;
        }
        let sought = self.seeks.iter_mut().find(|(words, _)| self.names.lookup(**words) == Some(lookup));
        let answer = sought.and_then(|(_, seeking)| seeking.answers.get_mut(&from));
        let Some(answer) = answer.filter(|answer| !answer.come) else {
            return self.drop_counted("found what was not sought");
        };
        answer.come = true;
        match candidates(genesis) {
            Ok(candidates) => answer.candidates = candidates,
            Err(fault) => return self.blame(from, fault),
        }
        self.try_seeks();
    }

    /// Stretches the next candidate, and joins the only valid one once all had time to answer.
    fn weigh_candidates(&mut self, words: FourWords) {
        let now = self.now.instant;
        let Some(seeking) = self.seeks.get_mut(&words) else { return };
        let valid = seeking.valid(words, &self.names);
        if valid.len() > 1 {
            return self.refuse_ambiguous(words, &valid);
        }
        if seeking.stretching.is_some_and(|id| !self.names.is_known(&id.0)) {
            return;
        }
        seeking.stretching = seeking.next_candidate(&self.names, now);
        if let Some(next) = seeking.stretching {
            return self.names.want_first(next.0, &mut self.out);
        }
        let Some(Candidate { bearer, root }) = valid.first().copied() else { return };
        let decide_at = *seeking.decide_at.get_or_insert(now + OTHERS_MAY_ANSWER);
        if decide_at > now && seeking.answers.values().any(|answer| !answer.come) {
            return self.out.wake_at(decide_at);
        }
        if let Some(Seeking { note, peers, asker, .. }) = self.seeks.remove(&words) {
            let right = Right::Asking(Asking { note, ..Asking::default() });
            self.begin_join(root, Join { asker, bearer, ..Join::new(root, Some(words), right, peers) });
            self.out.keep(SEEK, &words.to_bytes(), None, Vec::new());
        }
    }

    fn refuse_ambiguous(&mut self, words: FourWords, valid: &BTreeSet<Candidate>) {
        let ids: Vec<String> = valid.iter().map(|candidate| candidate.bearer.to_string()).collect();
        let message = format!("more than one group is called {words}: {}", ids.join(" and "));
        let hint = "ask a member for the full id of theirs, and join with that id";
        self.give_up_seeking(words, refusal(RefusalCode::Usage, message, hint));
    }

    /// Ends the search for these words. False if they are not sought.
    pub(super) fn give_up_seeking(&mut self, words: FourWords, why: Refusal) -> bool {
        let Some(seeking) = self.seeks.remove(&words) else { return false };
        self.out.keep(SEEK, &words.to_bytes(), None, Vec::new());
        match seeking.asker {
            Some(asker) => self.out.refuse(asker, why),
            None => {
                let state = JoinState::Unreachable;
                self.show_refused(JoinView { words, id: None, state, reason: why.message });
            }
        }
        true
    }

    /// The words for which this asker waits; the search goes on without it.
    pub(super) fn stop_waiting_for_words(&mut self, asker: CommandId) -> Option<FourWords> {
        let (words, seeking) = self.seeks.iter_mut().find(|(_, seeking)| seeking.asker == Some(asker))?;
        seeking.asker = None;
        Some(*words)
    }

    /// Somebody looks for the entity of some words: those we are in are shown by their genesis.
    pub(crate) fn sought(&mut self, from: DeviceKey, lookup: Digest) {
        let Some(session) = self.sessions.get_mut(&from) else { return };
        if !session.seeks.take(self.now.instant, SEEKS_BURST, SEEKS_EVERY) {
            return self.blame(from, "seeks too often");
        }
        let Some(me) = self.me.as_ref().map(|me| me.key()) else { return };
        let named = |place: EntityId| self.names.entity(place).and_then(|words| self.names.lookup(words));
        let shown = self.entities.values().filter(|e| e.kind != Kind::Home && e.member(me).is_some());
        let places = shown.flat_map(|e| e.places().map(move |place| (e, place)));
        let here = places.filter(|(_, place)| named(*place) == Some(lookup)).take(NAME_CANDIDATES_MAX - 1);
        let lineages = here.flat_map(|(entity, place)| entity.lineage(place));
        let genesis = self.home_sought(lookup).into_iter().chain(lineages).collect();
        self.out.send(from, &Frame::Found { lookup, genesis });
    }
}

/// Reads candidates: each a genesis, after which come those of its parents, up to one without.
///
/// Each must be signed, its creator's certificate hold, and what follows be the parent that it
/// names: by its hash, so nobody can lead a joiner elsewhere than whoever made the entity. Homes
/// are left out: the words are a person's, whose home is nobody else's to join.
fn candidates(genesis: &[Vec<u8>]) -> Result<Vec<Candidate>, &'static str> {
    if genesis.len() > NAME_CANDIDATES_MAX * (PARENTS_MAX + 1) {
        return Err("too many candidates");
    }
    let (mut rest, mut found, mut count) = (genesis.iter(), Vec::new(), 0);
    while let Some(first) = rest.next() {
        let (bearer, Genesis { mut kind, mut parent, .. }) = founded(first).ok_or("no genesis")?;
        let (mut root, mut above) = (bearer, 0);
        while let Some(named) = parent {
            let (id, genesis) = rest.next().and_then(|bytes| founded(bytes)).ok_or("no genesis")?;
            above += 1;
            if id != named || above > PARENTS_MAX {
                return Err("another parent than is named");
            }
            (root, kind, parent) = (id, genesis.kind, genesis.parent);
        }
        count += 1;
        let candidate = Candidate { bearer, root };
        if kind != Kind::Home && !found.contains(&candidate) {
            found.push(candidate);
        }
    }
    if count > NAME_CANDIDATES_MAX { Err("too many candidates") } else { Ok(found) }
}

/// The entity that a genesis founds, if it is signed and its creator's certificate holds.
fn founded(bytes: &[u8]) -> Option<(EntityId, Genesis)> {
    let roster = Roster::new(Statement::read(bytes).ok()?).ok()?;
    Some((roster.entity(), roster.genesis().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Naming;

    fn offering(candidates: &[(u8, &[u8])]) -> Seeking {
        let mut seeking = Seeking::new(String::new(), Vec::new(), None);
        for (device, candidates) in candidates {
            let candidates = candidates.iter().map(|id| EntityId([*id; 32]));
            let candidates = candidates.map(|id| Candidate { bearer: id, root: id }).collect();
            let answer = Answer { come: true, candidates, stretched: 0 };
            seeking.answers.insert(DeviceKey([*device; 32]), answer);
        }
        seeking
    }

    fn stretch_all(seeking: &mut Seeking, names: &mut Names, now: Instant) -> Vec<u8> {
        let mut order = Vec::new();
        while let Some(id) = seeking.next_candidate(names, now) {
            drop(names.learn(id.0, None));
            order.push(id.0[0]);
        }
        order
    }

    #[test]
    fn devices_take_turns_so_that_no_liar_keeps_an_honest_answer_from_being_checked() {
        let mut seeking = offering(&[(1, &[10, 11, 12, 13, 14, 15, 16, 17]), (2, &[20]), (3, &[30, 31])]);
        let mut names = Names::new(Naming::Test);
        let order = stretch_all(&mut seeking, &mut names, Instant(0));
        assert_eq!(order, [10, 20, 30, 11, 31, 12, 13, 14]);
    }

    #[test]
    fn after_the_first_candidates_one_a_minute_is_stretched() {
        let mut seeking = offering(&[(1, &[1, 2, 3, 4, 5, 6, 7, 8]), (2, &[11, 12, 13, 14])]);
        let mut names = Names::new(Naming::Test);
        assert_eq!(stretch_all(&mut seeking, &mut names, Instant(0)).len(), NAME_CANDIDATES_MAX);
        assert_eq!(stretch_all(&mut seeking, &mut names, Instant(59_999)).len(), 0);
        assert_eq!(stretch_all(&mut seeking, &mut names, Instant(60_000)).len(), 1);
    }
}
