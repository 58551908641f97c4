//! Gets this node into entities: by an invite, by the words alone, or as a device of who is in.
//!
//! `seeking` finds which entity has some words, `knocking` shows devices by what right this one
//! wants in, and `admitting` lets others in. A join is kept until it succeeds, is refused or is
//! given up, so a restart goes on with it. The joiner trusts nobody's word: it knows the entity's
//! full id, checks that the words are stretched from it, and reads its own admission from signed
//! statements under that genesis.

mod admitting;
mod knocking;
mod seeking;

use crate::bytes::{Malformed, Reader, Writer};
use crate::command::{
    AboutView, CommandId, EntityView, JoinBy, JoinState, JoinView, Kind, Notice, Outcome, Refusal,
    RefusalCode, Reply,
};
use crate::event::StretchId;
use crate::ids::EntityId;
use crate::limits::{ADDRESS_BYTES_MAX, INVITE_ADDRESSES_MAX, JOINS_MAX, NOTE_BYTES_MAX, REQUEST_BYTES_MAX};
use crate::outbox::{After, local, refusal};
use crate::record::Record;
use crate::replicator::Replicator;
use crate::request::Draft;
use crate::roster::invite::InviteCode;
use crate::schema::core::Settings;
use crate::schema::is_one_line;
use crate::time::{Duration, Instant};
use crate::words::FourWords;

pub(crate) use seeking::{SEEK, Seeking};

/// The kind of the small values that keep joins under way.
pub(crate) const JOIN: &str = "join";

/// How long between rounds of dialling and knocking, at first and at most; each doubles.
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Refused joins that are still shown to people; the oldest goes first.
const REFUSED_SHOWN_MAX: usize = 64;

/// A join under way, into an entity whose full id is known.
#[derive(Debug)]
pub(crate) struct Join {
    /// `None` where the id came from this person's own home.
    words: Option<FourWords>,
    /// Whose the words are: the entity's that is joined, or one's that has its roster.
    bearer: EntityId,
    right: Right,
    /// Addresses to dial, from the code and from the command.
    peers: Vec<String>,
    /// Who waits for the answer in this run; only a join with words has one.
    asker: Option<CommandId>,
    /// The words were found to belong to the bearer.
    checked: bool,
    /// Whether anybody was reached in this run.
    reached: bool,
    /// Whether a member said in this run that it keeps the request.
    requested: bool,
    /// What a device said that did not let us in. It may not be a member at all, so the others
    /// have until `next` to let us in.
    refused: Option<Refusal>,
    /// Bytes of the roster that came since the rest of it was asked for.
    come: usize,
    next: Instant,
    pause: Duration,
}

/// By what right this node wants in.
#[derive(Clone, Debug)]
enum Right {
    /// It has an invite.
    Code(InviteCode),
    /// An admin may decide so.
    Asking(Asking),
    /// It is a device of a member.
    Device,
}

/// A request to be let in, once the work for it is done.
#[derive(Clone, Debug, Default)]
struct Asking {
    note: String,
    request: Option<Vec<u8>>,
    work: Option<(StretchId, Draft)>,
}

impl Join {
    /// The words that the person typed, if the join began with words.
    pub(crate) fn words(&self) -> Option<FourWords> {
        self.words
    }

    fn new(id: EntityId, words: Option<FourWords>, right: Right, peers: Vec<String>) -> Join {
        let mut all = match &right {
            Right::Code(code) => code.addresses.clone(),
            Right::Asking(_) | Right::Device => Vec::new(),
        };
        all.extend(peers);
        all.truncate(2 * INVITE_ADDRESSES_MAX);
        Join {
            words,
            bearer: id,
            right,
            peers: all,
            asker: None,
            checked: words.is_none(),
            reached: false,
            requested: false,
            refused: None,
            come: 0,
            next: Instant::default(),
            pause: RETRY_FIRST,
        }
    }

    fn record(&self, id: EntityId) -> Record {
        let mut writer = Writer::new();
        match self.words {
            Some(words) if self.bearer == id => writer.u8(1).raw(&words.to_bytes()),
            Some(words) => writer.u8(2).raw(&words.to_bytes()).raw(&self.bearer.0),
            None => writer.u8(0),
        };
        match &self.right {
            Right::Code(code) => writer.u8(1).raw(&code.secret),
            Right::Asking(asking) => {
                writer.u8(2).text(&asking.note).bytes(asking.request.as_deref().unwrap_or_default())
            }
            Right::Device => writer.u8(3),
        };
        write_peers(&mut writer, &self.peers);
        local(JOIN, &id.0, Some(writer.into_bytes()))
    }

    /// Reads what `record` wrote.
    pub(crate) fn read(of: &[u8], value: &[u8]) -> Result<(EntityId, Join), Malformed> {
        let entity = EntityId(of.try_into().map_err(|_| Malformed)?);
        let mut reader = Reader::new(value);
        let (words, bearer) = match reader.u8()? {
            0 => (None, entity),
            1 => (Some(FourWords::from_bytes(reader.array()?)), entity),
            2 => (Some(FourWords::from_bytes(reader.array()?)), EntityId(reader.array()?)),
            _ => return Err(Malformed),
        };
        let right = match reader.u8()? {
            1 => Right::Code(InviteCode { entity, secret: reader.array()?, addresses: Vec::new() }),
            2 => {
                let note = reader.text(NOTE_BYTES_MAX)?.to_owned();
                let request = Some(reader.bytes(REQUEST_BYTES_MAX)?.to_vec()).filter(|r| !r.is_empty());
                Right::Asking(Asking { note, request, work: None })
            }
            3 => Right::Device,
            _ => return Err(Malformed),
        };
        let peers = read_peers(&mut reader)?;
        reader.finish()?;
        Ok((entity, Join { bearer, ..Join::new(entity, words, right, peers) }))
    }

    fn state(&self) -> JoinState {
        match (self.requested, self.reached) {
            (true, _) => JoinState::Requested,
            (false, true) => JoinState::Pending,
            (false, false) => JoinState::Unreachable,
        }
    }
}

fn write_peers(writer: &mut Writer, peers: &[String]) {
    writer.list(peers, |w, address| {
        w.text(address);
    });
}

fn read_peers(reader: &mut Reader<'_>) -> Result<Vec<String>, Malformed> {
    reader.list(2 * INVITE_ADDRESSES_MAX, |r| r.text(ADDRESS_BYTES_MAX).map(str::to_owned))
}

impl Replicator {
    /// Begins to join; answered when admitted or refused, or once members keep the request.
    pub(crate) fn join(
        &mut self,
        asker: CommandId,
        words: FourWords,
        by: JoinBy,
        peers: Vec<String>,
    ) -> Result<(), Refusal> {
        self.check_not_linking()?;
        if peers.len() > INVITE_ADDRESSES_MAX || peers.iter().any(|peer| peer.len() > ADDRESS_BYTES_MAX) {
            let message = format!("at most {INVITE_ADDRESSES_MAX} addresses of {ADDRESS_BYTES_MAX} bytes");
            return Err(refusal(RefusalCode::Usage, message, "give fewer or shorter addresses"));
        }
        let (id, bearer, right) = match by {
            JoinBy::Code(code) => (code.entity, code.entity, Right::Code(code)),
            JoinBy::Words { id, note } => {
                check_note(&note)?;
                let Some((id, bearer)) = id.map(|id| (id, id)).or_else(|| self.id_of(words)) else {
                    self.has_room_for_join(self.seeks.contains_key(&words))?;
                    self.begin_seeking(asker, words, note, peers);
                    return Ok(());
                };
                (id, bearer, Right::Asking(Asking { note, ..Asking::default() }))
            }
        };
        self.has_room_for_join(self.joins.contains_key(&id) || self.is_in(id))?;
        let join = Join::new(id, Some(words), right, peers);
        self.begin_join(id, Join { asker: Some(asker), bearer, ..join });
        Ok(())
    }

    /// Whether another join may begin; one that is under way already takes no more room.
    fn has_room_for_join(&self, is_known: bool) -> Result<(), Refusal> {
        if is_known || self.joins.len() + self.seeks.len() < JOINS_MAX {
            return Ok(());
        }
        let hint = "give up some of them; `fourword join --list` shows them";
        Err(refusal(RefusalCode::TooMuch, "too many joins are under way", hint))
    }

    /// Begins to come back into an entity as a device of one of its members: keys and roster are
    /// given by any member that is reached, and nobody waits for an answer.
    pub(crate) fn return_to(&mut self, id: EntityId, words: Option<FourWords>, peers: Vec<String>) {
        if !self.is_in(id) && !self.joins.contains_key(&id) && self.joins.len() < JOINS_MAX {
            self.begin_join(id, Join::new(id, words, Right::Device, peers));
        }
    }

    /// The entity to join for these words, and whose they are, as far as a join or a membership
    /// has fixed both.
    fn id_of(&self, words: FourWords) -> Option<(EntityId, EntityId)> {
        let joining = self.joins.iter().find(|(_, join)| join.words == Some(words));
        let joining = joining.map(|(id, join)| (*id, join.bearer));
        joining.or_else(|| self.place(words).map(|(entity, place)| (entity.id, place)))
    }

    /// Whether this device is a member's and holds the secret.
    pub(crate) fn is_in(&self, id: EntityId) -> bool {
        let me = self.me.as_ref().map(|me| me.key());
        let entity = self.entities.get(&id).filter(|entity| entity.secret.is_some());
        me.is_some_and(|me| entity.is_some_and(|entity| entity.member(me).is_some()))
    }

    fn begin_join(&mut self, id: EntityId, mut join: Join) {
        if self.is_in(id) {
            if let Some(asker) = join.asker {
                self.answer_joined(asker, id);
            }
            return;
        }
        if let Some(before) = self.joins.remove(&id) {
            join.continue_asking(before.right);
            if let Some(asker) = before.asker {
                let message = "the same join was asked for again";
                self.out.refuse(asker, refusal(RefusalCode::Pending, message, ""));
            }
        }
        self.refused_joins.retain(|refused| refused.id != Some(id));
        let record = join.record(id);
        if join.words.is_some() {
            self.names.want_first(join.bearer.0, &mut self.out);
        }
        self.joins.insert(id, join);
        self.out.write(vec![record], Vec::new());
        self.forget_answers(id);
        self.check_joins();
        self.search_soon();
    }

    /// Has every connected device knocked at anew.
    fn forget_answers(&mut self, id: EntityId) {
        for session in self.sessions.values_mut() {
            session.turned.remove(&id);
            session.knocked.remove(&id);
        }
    }

    fn give_up(&mut self, id: EntityId, why: Refusal) {
        let Some(join) = self.joins.remove(&id) else { return };
        self.out.keep(JOIN, &id.0, None, Vec::new());
        match (join.asker, join.words) {
            (Some(asker), _) => self.out.refuse(asker, why),
            (None, Some(words)) => {
                let state = join.state();
                self.show_refused(JoinView { words, id: Some(id), state, reason: why.message });
            }
            (None, None) => {}
        }
    }

    /// Nobody waits for the answer: it is shown among the joins until given up or asked anew.
    fn show_refused(&mut self, refused: JoinView) {
        if self.refused_joins.len() >= REFUSED_SHOWN_MAX {
            self.refused_joins.remove(0);
        }
        self.refused_joins.push(refused);
    }

    /// An address could not be dialled: whoever waits for a join is not kept waiting in silence.
    pub(crate) fn unreachable(&mut self, address: &str) {
        let concerned = self.joins.values().any(|j| j.peers.iter().any(|p| p == address));
        self.drop_counted(if concerned { "unreachable while joining" } else { "unreachable" });
    }

    /// The asker waits no longer; the join goes on.
    pub(crate) fn stop_waiting(&mut self, asker: CommandId) {
        if let Some((id, join)) = self.joins.iter_mut().find(|(_, j)| j.asker == Some(asker)) {
            join.asker = None;
            if let Some(words) = join.words {
                let (id, state) = (*id, join.state());
                let outcome = self.waiting_outcome(words, id, state);
                self.out.answer(asker, outcome);
            }
        } else if let Some(words) = self.stop_waiting_for_words(asker) {
            // Which entity it is nobody knows yet.
            let outcome = self.waiting_outcome(words, EntityId([0; 32]), JoinState::Unreachable);
            self.out.answer(asker, outcome);
        }
    }

    /// Lists joins under way and those refused while nobody waited.
    pub(crate) fn list_joins(&mut self, id: CommandId) -> Result<(), Refusal> {
        let mut joins = self.joins_under_way();
        joins.extend(self.refused_joins.iter().cloned());
        self.out.answer(id, Outcome::Done(Reply::Joins(joins)));
        Ok(())
    }

    /// What this person wants to get into and is not in yet.
    pub(crate) fn joins_under_way(&self) -> Vec<JoinView> {
        let join = |(id, join): (&EntityId, &Join)| {
            let words = join.words.or_else(|| self.names.entity(*id))?;
            let reason = join.refused.as_ref().map(|refusal| refusal.message.clone()).unwrap_or_default();
            Some(JoinView { words, id: Some(*id), state: join.state(), reason })
        };
        let mut joins: Vec<JoinView> = self.joins.iter().filter_map(join).collect();
        joins.extend(self.seeks.keys().map(|words| JoinView {
            words: *words,
            id: None,
            state: JoinState::Unreachable,
            reason: "no device that was reached knows these words".to_owned(),
        }));
        joins
    }

    /// Gives up whatever is under way to these words.
    pub(crate) fn cancel_join(&mut self, id: CommandId, words: FourWords) -> Result<(), Refusal> {
        let named = |(id, join): (&EntityId, &Join)| {
            (join.words.or_else(|| self.names.entity(*id)) == Some(words)).then_some(*id)
        };
        let joins: Vec<EntityId> = self.joins.iter().filter_map(named).collect();
        let shown = self.refused_joins.iter().any(|refused| refused.words == words);
        let given_up = || refusal(RefusalCode::Pending, "the join was given up", "");
        let found = !joins.is_empty() | self.give_up_seeking(words, given_up()) | shown;
        for join in joins {
            self.give_up(join, given_up());
        }
        self.refused_joins.retain(|refused| refused.words != words);
        if !found {
            let message = format!("no join to {words} is under way");
            return Err(refusal(RefusalCode::NotFound, message, ""));
        }
        self.out.write(Vec::new(), vec![After::Answer(id, Outcome::Done(Reply::Ok))]);
        Ok(())
    }

    /// This device is in and holds the keys.
    pub(crate) fn entered(&mut self, id: EntityId) {
        let join = self.joins.remove(&id);
        self.names.want_first(id.0, &mut self.out);
        self.enter(id);
        let Some(join) = join else { return };
        // Statements written before this batch are durable before it, so the answer is true.
        let answer = join.asker.and_then(|asker| Some(After::Answer(asker, self.joined_outcome(id)?)));
        self.out.keep(JOIN, &id.0, None, answer.into_iter().collect());
        if let Some(words) = join.words.or_else(|| self.names.entity(id)) {
            self.out.notify(Notice::Joined(words));
        }
        self.remember_entity(id);
    }

    fn answer_joined(&mut self, asker: CommandId, id: EntityId) {
        let outcome = self.joined_outcome(id).unwrap_or_else(|| {
            let message = "you are in, but its words are still being checked";
            Outcome::Refused(refusal(RefusalCode::Pending, message, "try again in a few seconds"))
        });
        self.out.answer(asker, outcome);
    }

    fn joined_outcome(&self, id: EntityId) -> Option<Outcome> {
        let view = self.entity_view(self.entities.get(&id)?, id)?;
        Some(Outcome::Done(Reply::Joined(view, JoinState::Joined)))
    }

    fn waiting_outcome(&self, words: FourWords, id: EntityId, state: JoinState) -> Outcome {
        let view = EntityView {
            words,
            id,
            kind: self.entities.get(&id).map_or(Kind::Group, |entity| entity.kind),
            name: String::new(),
            parent: None,
            role: None,
            members: 0,
            about: AboutView::default(),
            settings: Settings::default(),
        };
        Outcome::Done(Reply::Joined(view, state))
    }
}

impl Join {
    /// Goes on with an earlier request that says the same, so that asking twice costs no more.
    fn continue_asking(&mut self, before: Right) {
        if let (Right::Asking(now), Right::Asking(before)) = (&mut self.right, before)
            && now.note == before.note
        {
            *now = before;
        }
    }
}

fn check_note(note: &str) -> Result<(), Refusal> {
    if note.len() > NOTE_BYTES_MAX || !is_one_line(note) {
        let message = format!("a note is one line of at most {NOTE_BYTES_MAX} bytes");
        return Err(refusal(RefusalCode::Usage, message, "give a shorter note"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: EntityId = EntityId([1; 32]);

    fn back(join: &Join) -> Join {
        let Record::Local { key, value: Some(value) } = join.record(ID) else { panic!("a value") };
        let (id, read) = Join::read(&key.of, &value).unwrap();
        assert_eq!(id, ID);
        assert_eq!(read.record(id), join.record(id));
        assert_eq!(Join::read(&key.of, &value[1..]).err(), Some(Malformed));
        read
    }

    #[test]
    fn a_join_by_any_right_reads_back() {
        let (words, peers) = (Some(FourWords::from_bytes([2; 6])), vec!["sim:ada".to_owned()]);
        let code = InviteCode { entity: ID, secret: [3; 16], addresses: Vec::new() };
        let code = back(&Join::new(ID, words, Right::Code(code), peers.clone()));
        assert_eq!((code.words, code.peers, code.checked), (words, peers.clone(), false));
        let bearer = EntityId([5; 32]);
        let below = Join { bearer, ..Join::new(ID, words, Right::Device, Vec::new()) };
        assert_eq!((back(&below).words, back(&below).bearer), (words, bearer));
        for request in [None, Some(vec![4; 900])] {
            let asking = Asking { note: "hello".into(), request: request.clone(), work: None };
            let Right::Asking(read) = back(&Join::new(ID, words, Right::Asking(asking), Vec::new())).right
            else {
                panic!("asking")
            };
            assert_eq!((read.note.as_str(), read.request), ("hello", request));
        }
        let device = back(&Join::new(ID, None, Right::Device, Vec::new()));
        assert!(device.checked && matches!(device.right, Right::Device));
    }

    #[test]
    fn a_note_of_one_line_up_to_the_limit_is_taken() {
        let refused = |note: &str| check_note(note).err().map(|refusal| refusal.code);
        assert_eq!(refused(&"n".repeat(NOTE_BYTES_MAX)), None);
        assert_eq!(refused(&"n".repeat(NOTE_BYTES_MAX + 1)), Some(RefusalCode::Usage));
        assert_eq!(refused(&"é".repeat(NOTE_BYTES_MAX / 2 + 1)), Some(RefusalCode::Usage), "bytes count");
        assert_eq!(refused("two\nlines"), Some(RefusalCode::Usage));
    }
}
