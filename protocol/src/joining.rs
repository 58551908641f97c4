//! Lets people in by invite, and gets this node in.
//!
//! A joiner knocks at every device it reaches, showing its certificate signed with the invite's
//! key. A member checks the invite, signs the admission, seals the keys and answers with the
//! roster. The joiner trusts nobody's word for it: it holds the entity's full id from the code,
//! checks that the words are stretched from it, and reads its own admission from signed
//! statements under that genesis.

use std::collections::BTreeSet;

use rand::Rng;

use crate::bytes::{Reader, Writer};
use crate::command::{CommandId, EntityView, JoinState, Notice, Outcome, Refusal, RefusalCode, Reply};
use crate::effect::Effect;
use crate::entity::Entity;
use crate::identity::{Certificate, SignatureBytes};
use crate::ids::{DeviceKey, EntityId, StatementId, VerifyingKey};
use crate::limits::{ADDRESS_BYTES_MAX, IN_FLIGHT_BYTES_MAX, INVITE_ADDRESSES_MAX, STATEMENT_BYTES_MAX};
use crate::outbox::{After, local, refusal};
use crate::record::Record;
use crate::replicator::Replicator;
use crate::roster::invite::{InviteCode, is_accepted};
use crate::roster::{Body, Role};
use crate::schema::core::Settings;
use crate::sync::have_frames;
use crate::time::{Duration, Instant};
use crate::wire::{Frame, Knock, Proof, Turned};
use crate::words::FourWords;

/// The kind of the small values that keep joins under way.
pub(crate) const JOIN: &str = "join";

/// How long between rounds of dialling and knocking, at first and at most; each doubles.
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// How long after a refusal another device may still let us in.
const OTHERS_MAY_ADMIT: Duration = Duration::from_secs(2);

/// How often a device may knock: a burst, then one for each stretch of time. Joiners knock once in
/// `RETRY_FIRST` at most, and each knock may cost signatures.
const KNOCKS_BURST: u64 = 8;
const KNOCKS_EVERY: Duration = RETRY_FIRST;

/// A join under way.
#[derive(Debug)]
pub(crate) struct Join {
    words: FourWords,
    code: InviteCode,
    /// Addresses to dial, from the code and from the command.
    peers: Vec<String>,
    /// Who waits for the answer in this run.
    asker: Option<CommandId>,
    /// The words were found to belong to the id.
    checked: bool,
    /// Whether anybody was reached in this run.
    reached: bool,
    /// What a device said that did not let us in. It may not be a member at all, so the others
    /// have until `next` to let us in.
    refused: Option<Refusal>,
    /// Bytes of the roster that came since the rest of it was asked for.
    come: usize,
    next: Instant,
    pause: Duration,
}

impl Join {
    fn new(words: FourWords, code: InviteCode, peers: Vec<String>) -> Join {
        let mut all = code.addresses.clone();
        all.extend(peers);
        all.truncate(2 * INVITE_ADDRESSES_MAX);
        Join {
            words,
            code,
            peers: all,
            asker: None,
            checked: false,
            reached: false,
            refused: None,
            come: 0,
            next: Instant::default(),
            pause: RETRY_FIRST,
        }
    }

    fn record(&self) -> Record {
        let mut writer = Writer::new();
        writer.raw(&self.words.to_bytes()).raw(&self.code.secret);
        writer.list(&self.peers, |w, address| {
            w.text(address);
        });
        local(JOIN, &self.code.entity.0, Some(writer.into_bytes()))
    }

    /// Reads what `record` wrote.
    pub(crate) fn read(of: &[u8], value: &[u8]) -> Option<(EntityId, Join)> {
        let entity = EntityId(of.try_into().ok()?);
        let mut reader = Reader::new(value);
        let words = FourWords::from_bytes(reader.array().ok()?);
        let secret = reader.array().ok()?;
        let read = |r: &mut Reader<'_>| r.text(ADDRESS_BYTES_MAX).map(str::to_owned);
        let peers = reader.list(2 * INVITE_ADDRESSES_MAX, read).ok()?;
        let code = InviteCode { entity, secret, addresses: Vec::new() };
        Some((entity, Join::new(words, code, peers)))
    }
}

impl Replicator {
    // -- getting in ---------------------------------------------------------------------------

    /// Begins to join, and answers when admitted or refused.
    pub(crate) fn join(&mut self, asker: CommandId, words: FourWords, code: InviteCode, peers: Vec<String>) {
        let id = code.entity;
        let me = self.me.as_ref().map(|me| me.key());
        let is_in = |e: &Entity| e.secret.is_some() && me.is_some_and(|me| e.member(me).is_some());
        if self.entities.get(&id).is_some_and(is_in) {
            return self.answer_joined(asker, id);
        }
        let mut join = Join::new(words, code, peers);
        join.asker = Some(asker);
        let record = join.record();
        if let Some(before) = self.joins.insert(id, join).and_then(|j| j.asker) {
            self.out.refuse(before, refusal(RefusalCode::Pending, "the same join was asked for again", ""));
        }
        self.out.write(vec![record], Vec::new());
        for session in self.sessions.values_mut() {
            session.turned.remove(&id);
            session.knocked.remove(&id);
        }
        self.names.want_first(id.0, &mut self.out);
        self.check_joins();
    }

    /// Looks whether the words of joins belong to their ids, as far as that is known by now.
    pub(crate) fn check_joins(&mut self) {
        let unchecked = self.joins.iter().filter(|(id, j)| !j.checked && self.names.is_known(&id.0));
        let ids: Vec<EntityId> = unchecked.map(|(id, _)| *id).collect();
        for id in ids {
            let real = self.names.entity(id);
            let Some(join) = self.joins.get_mut(&id) else { continue };
            if real == Some(join.words) {
                join.checked = true;
            } else {
                let hint = match real {
                    Some(words) => {
                        format!("the code is for {words}; join that if you trust who gave it to you")
                    }
                    None => "ask for a new invite".to_owned(),
                };
                let message = format!("this code does not belong to {}", join.words);
                self.give_up(id, refusal(RefusalCode::Usage, message, hint));
            }
        }
        self.try_joins();
    }

    /// Dials and knocks for every join whose turn it is.
    pub(crate) fn try_joins(&mut self) {
        if !self.opening.done {
            return;
        }
        let now = self.now.instant;
        let refused = self.joins.iter().filter(|(_, join)| join.next <= now);
        let refused = refused.filter_map(|(id, join)| Some((*id, join.refused.clone()?)));
        for (id, why) in refused.collect::<Vec<_>>() {
            self.give_up(id, why);
        }
        let mut due = Vec::new();
        for (id, join) in self.joins.iter_mut().filter(|(_, j)| j.checked) {
            if join.next <= now {
                let spread = self.random.next_u64() % 500;
                join.next = now + join.pause + Duration(spread);
                join.pause = Duration((join.pause.0 * 2).min(RETRY_MAX.0));
                due.push((*id, join.peers.clone()));
            }
            self.out.wake_at(join.next);
        }
        for (id, peers) in due {
            for address in peers {
                self.out.push(Effect::Connect(address));
            }
            let devices: Vec<DeviceKey> = self.sessions.keys().copied().collect();
            for session in self.sessions.values_mut() {
                session.knocked.remove(&id);
            }
            for device in devices {
                self.knock(device);
            }
        }
        let waiting = self.joins.iter().filter(|(id, j)| !j.checked && !self.names.is_known(&id.0));
        for id in waiting.map(|(id, _)| id.0).collect::<Vec<_>>() {
            self.names.want_first(id, &mut self.out);
        }
    }

    /// Knocks at a device for every join, unless it turned us away for good.
    pub(crate) fn knock(&mut self, device: DeviceKey) {
        let Some(me) = &self.me else { return };
        let Some(session) = self.sessions.get_mut(&device) else { return };
        for (id, join) in self.joins.iter_mut().filter(|(_, j)| j.checked) {
            if session.turned.contains_key(id) || !session.knocked.insert(*id) {
                continue;
            }
            join.reached = true;
            let mut certificate = Writer::new();
            me.certificate.write(&mut certificate);
            let knock = Knock {
                entity: *id,
                certificate: certificate.into_bytes(),
                proof: Proof::Invite {
                    invite: join.code.key().0,
                    signature: join.code.sign_acceptance(&me.certificate).to_vec(),
                },
            };
            self.out.send(device, &Frame::Knock(knock));
        }
    }

    /// A device did not let us in. Whether it is a member cannot be known, so a refusal ends the
    /// join only if nobody else lets us in soon; who is not in it knows nothing.
    pub(crate) fn turned_away(&mut self, from: DeviceKey, id: EntityId, why: Turned) {
        let Some(session) = self.sessions.get_mut(&from).filter(|s| s.knocked.contains(&id)) else {
            return self.drop_counted("turned away without a knock");
        };
        session.turned.insert(id, why);
        let (message, hint) = match why {
            Turned::NotHere => return,
            Turned::NoInvite => ("no such invite is open there", "ask for a new invite"),
            Turned::Expired => ("the invite has expired", "ask for a new invite"),
            Turned::UsedUp => ("the invite was used as often as it may be", "ask for a new invite"),
            Turned::BadProof => ("the member did not accept this device's proof", "ask for a new invite"),
            Turned::Removed => ("you were removed from it", "an admin can add you again"),
            Turned::Denied => ("an admin decided against it", "ask them in person"),
            Turned::TooMany => ("too many ask to be let in there", "try again later, or ask for an invite"),
            Turned::Asked => return,
        };
        let Some(join) = self.joins.get_mut(&id).filter(|join| join.refused.is_none()) else { return };
        join.refused = Some(refusal(RefusalCode::NotAllowed, message, hint));
        join.next = self.now.instant + OTHERS_MAY_ADMIT;
        self.out.wake_at(join.next);
    }

    /// Asks whoever lets us in for the rest of a roster that does not fit one answer.
    ///
    /// An answer that was cut holds more than it could without one more statement.
    pub(crate) fn ask_for_the_rest(&mut self, from: DeviceKey, id: EntityId, bytes: usize) {
        let (Some(entity), Some(join)) = (self.entities.get(&id), self.joins.get_mut(&id)) else { return };
        join.come = join.come.saturating_add(bytes);
        if join.come > IN_FLIGHT_BYTES_MAX - STATEMENT_BYTES_MAX {
            join.come = 0;
            let ids: Vec<StatementId> = entity.roster.ids().collect();
            for frame in have_frames(id, &ids) {
                self.out.send(from, &frame);
            }
        }
    }

    fn give_up(&mut self, id: EntityId, why: Refusal) {
        let Some(join) = self.joins.remove(&id) else { return };
        self.out.keep(JOIN, &id.0, None, Vec::new());
        if let Some(asker) = join.asker {
            self.out.refuse(asker, why);
        }
    }

    /// An address could not be dialled: whoever waits for a join is not kept waiting in silence.
    pub(crate) fn unreachable(&mut self, address: &str) {
        let concerned = self.joins.values().any(|j| j.peers.iter().any(|p| p == address));
        self.drop_counted(if concerned { "unreachable while joining" } else { "unreachable" });
    }

    /// The asker waits no longer; the join goes on.
    pub(crate) fn stop_waiting(&mut self, asker: CommandId) {
        let Some((id, join)) = self.joins.iter_mut().find(|(_, j)| j.asker == Some(asker)) else { return };
        join.asker = None;
        let state = if join.reached { JoinState::Pending } else { JoinState::Unreachable };
        let (id, words) = (*id, join.words);
        let kind = self.entities.get(&id).map_or(crate::command::Kind::Group, |e| e.kind);
        let view = EntityView {
            words,
            id,
            kind,
            name: String::new(),
            role: None,
            members: 0,
            settings: Settings::default(),
        };
        self.out.answer(asker, Outcome::Done(Reply::Joined(view, state)));
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
        self.out.notify(Notice::Joined(join.words));
        self.remember_entity(id);
    }

    fn answer_joined(&mut self, asker: CommandId, id: EntityId) {
        if let Some(outcome) = self.joined_outcome(id) {
            self.out.answer(asker, outcome);
        }
    }

    fn joined_outcome(&self, id: EntityId) -> Option<Outcome> {
        let view = self.entity_view(self.entities.get(&id)?)?;
        Some(Outcome::Done(Reply::Joined(view, JoinState::Joined)))
    }

    // -- letting in ---------------------------------------------------------------------------

    /// Somebody knocks with an invite.
    pub(crate) fn knocked(&mut self, from: DeviceKey, knock: &Knock) {
        let entity = knock.entity;
        let Some(session) = self.sessions.get_mut(&from) else { return };
        if !session.knocks.take(self.now.instant, KNOCKS_BURST, KNOCKS_EVERY) {
            return self.blame(from, "knocks too often");
        }
        match self.admit(from, knock) {
            Ok(()) => {}
            Err(why) => self.out.send(from, &Frame::Turned { entity, why }),
        }
    }

    /// Lets a device in if it may. What costs a signature check comes after what does not.
    fn admit(&mut self, from: DeviceKey, knock: &Knock) -> Result<(), Turned> {
        let id = knock.entity;
        let me = self.me.as_ref().ok_or(Turned::NotHere)?;
        let entity = self.entities.get(&id).ok_or(Turned::NotHere)?;
        if !entity.may_write(me.key()) {
            return Err(Turned::NotHere);
        }
        if entity.epoch().is_none() {
            // Soon there is one: the joiner knocks again.
            return Ok(());
        }
        if entity.member(from).is_some() {
            self.give_first_key(from, id);
            self.welcome(id, from);
            return Ok(());
        }
        let Proof::Invite { invite: key, signature } = &knock.proof else { return Err(Turned::NotHere) };
        let invite = entity.roster.invite(&VerifyingKey(*key)).filter(|invite| invite.open);
        let invite = invite.ok_or(Turned::NoInvite)?;
        if invite.expires < self.now.wall {
            return Err(Turned::Expired);
        }
        if invite.used >= invite.uses {
            return Err(Turned::UsedUp);
        }
        let (certificate, signature) = proven(from, knock, *key, signature).ok_or(Turned::BadProof)?;
        let person = certificate.person.id();
        if entity.roster.reading().is_member(&person) {
            return Err(Turned::BadProof);
        }
        if entity.roster.was_removed(&person) {
            return Err(Turned::Removed);
        }
        let sealing = certificate.device.sealing;
        let body = Body::AcceptInvite { invite: invite.statement, certificate, signature };
        if self.can_let_in(id) {
            // What cannot be yet is not refused: the joiner knocks again.
            self.let_in(id, body, (from, sealing), vec![After::Welcome(id, from)]);
        }
        Ok(())
    }

    /// A joiner's admission is on disk: it gets the roster.
    pub(crate) fn welcome(&mut self, id: EntityId, device: DeviceKey) {
        if let Some(entity) = self.entities.get(&id) {
            let all = entity.statements_lacking(&BTreeSet::new());
            self.send_statements(device, id, all);
        }
    }

    /// Whether this device may make invites with a role.
    pub(crate) fn may_invite(&self, id: EntityId, role: Role) -> bool {
        let me = self.me.as_ref().map(|me| me.key());
        let actor = me.and_then(|me| self.entities.get(&id)?.member(me));
        actor.is_some_and(|a| a.role >= Role::Admin && a.role >= role)
    }
}

/// The certificate of a knock, if it is the knocking device's own and the invite key signed it.
fn proven(
    from: DeviceKey,
    knock: &Knock,
    invite: [u8; 32],
    signature: &[u8],
) -> Option<(Certificate, SignatureBytes)> {
    let mut reader = Reader::new(&knock.certificate);
    let certificate = Certificate::read(&mut reader).ok()?;
    reader.finish().ok()?;
    let signature = signature.try_into().ok()?;
    let signed = || is_accepted(VerifyingKey(invite), knock.entity, &certificate, &signature);
    let holds = certificate.device.key == from && signed() && certificate.is_valid();
    holds.then_some((certificate, signature))
}
