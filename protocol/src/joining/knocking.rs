//! Knocks at every device that is reached, showing by what right this one wants in.
//!
//! Rounds of dialling and knocking grow apart until somebody lets us in. Whether a device is a
//! member cannot be known from outside, so a refusal ends a join only if nobody else lets us in,
//! or says that it keeps our request, soon after; who says "not here" knows nothing.

use rand::Rng;

use super::{Asking, Join, RETRY_MAX, Right};
use crate::bytes::Writer;
use crate::command::{Refusal, RefusalCode};
use crate::effect::Effect;
use crate::event::StretchId;
use crate::ids::{DeviceKey, EntityId, StatementId};
use crate::limits::{IN_FLIGHT_BYTES_MAX, STATEMENT_BYTES_MAX};
use crate::me::Me;
use crate::outbox::{After, refusal};
use crate::replicator::Replicator;
use crate::request::{Draft, Request};
use crate::requests::RENEW_AFTER_MS;
use crate::sync::have_frames;
use crate::time::{Duration, WallTime};
use crate::wire::{Frame, Knock, Proof, Turned};
use crate::words::{StretchInput, work};

/// How long after a refusal another device may still let us in.
const OTHERS_MAY_ADMIT: Duration = Duration::from_secs(2);

/// How often we knock at one device: less than it allows, so that none takes it for a fault.
const OWN_KNOCKS_BURST: u64 = 6;
const OWN_KNOCKS_EVERY: Duration = Duration(2500);

impl Replicator {
    /// Looks whether the words of joins belong to their ids, as far as that is known by now.
    pub(crate) fn check_joins(&mut self) {
        let unchecked = self.joins.iter().filter(|(_, j)| !j.checked && self.names.is_known(&j.bearer.0));
        let ids: Vec<(EntityId, EntityId)> = unchecked.map(|(id, join)| (*id, join.bearer)).collect();
        for (id, bearer) in ids {
            let real = self.names.entity(bearer);
            let Some(join) = self.joins.get_mut(&id) else { continue };
            if real == join.words {
                join.checked = true;
            } else {
                let why = misnamed(join, real);
                self.give_up(id, why);
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
            self.prepare_request(id);
            self.knock_again(id);
        }
        for device in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.knock(device);
        }
        let waiting = self.joins.values().filter(|j| !j.checked && !self.names.is_known(&j.bearer.0));
        for id in waiting.map(|join| join.bearer.0).collect::<Vec<_>>() {
            self.names.want_first(id, &mut self.out);
        }
    }

    /// Knocks at every device that did not turn us away.
    fn knock_again(&mut self, id: EntityId) {
        for session in self.sessions.values_mut() {
            session.knocked.remove(&id);
        }
        let devices: Vec<DeviceKey> = self.sessions.keys().copied().collect();
        for device in devices {
            self.knock(device);
        }
    }

    /// Knocks at a device for every join, unless it turned us away for good.
    pub(crate) fn knock(&mut self, device: DeviceKey) {
        let Some(me) = &self.me else { return };
        let Some(session) = self.sessions.get_mut(&device) else { return };
        // In turn, going on behind the last one: a device of many groups has more to get into than
        // anybody lets knock at once.
        let checked = self.joins.iter().filter(|(_, join)| join.checked).map(|(id, _)| *id);
        let (before, mut ids): (Vec<EntityId>, Vec<EntityId>) =
            checked.partition(|id| Some(*id) <= session.knocked_last);
        ids.extend(before);
        for id in &ids {
            let Some(join) = self.joins.get_mut(id) else { continue };
            if session.turned.contains_key(id) || session.knocked.contains(id) {
                continue;
            }
            let roster = self.entities.get(id).map(|entity| entity.roster.reading());
            let is_members = roster.is_some_and(|reading| reading.is_member(&me.person()));
            // Who knows that it is out would be told so, perhaps only after it has asked.
            if roster.is_some() && !is_members && join.right.is_yet_to_ask() {
                continue;
            }
            if !session.knocking.take(self.now.instant, OWN_KNOCKS_BURST, OWN_KNOCKS_EVERY) {
                return self.out.wake_at(self.now.instant + OWN_KNOCKS_EVERY);
            }
            session.knocked.insert(*id);
            session.knocked_last = Some(*id);
            join.reached = true;
            let mut certificate = Writer::new();
            me.certificate.write(&mut certificate);
            let proof = join.right.proof(me, is_members);
            let knock = Knock { entity: *id, certificate: certificate.into_bytes(), proof };
            self.out.send(device, &Frame::Knock(knock));
        }
    }

    // -- requests -----------------------------------------------------------------------------

    /// Begins the work for a request that there is not yet, or that would soon be too old.
    fn prepare_request(&mut self, id: EntityId) {
        let (Some(me), Some(join)) = (&self.me, self.joins.get_mut(&id)) else { return };
        let Right::Asking(asking) = &mut join.right else { return };
        let renew_from = self.now.wall.0.saturating_sub(RENEW_AFTER_MS);
        if asking.work.is_some() || asking.time().is_some_and(|asked| asked.0 >= renew_from) {
            return;
        }
        let draft = Draft::new(id, &me.certificate, &me.name, &asking.note, self.now.wall);
        let (bits, challenge) = (self.names.naming().work_bits(), draft.challenge());
        asking.work = Some((self.out.stretch(StretchInput::Work { bits, challenge }), draft));
    }

    /// Takes the work of a request and knocks with it. False if it is not the work of one.
    pub(crate) fn worked(&mut self, stretch: StretchId, found: &[u8; 32]) -> bool {
        let Some(me) = &self.me else { return false };
        let mut made = None;
        for (id, join) in &mut self.joins {
            let Right::Asking(asking) = &mut join.right else { continue };
            if let Some((_, draft)) = asking.work.take_if(|(of, _)| *of == stretch) {
                asking.request = Some(draft.sign(work::nonce(found), &me.device));
                made = Some((*id, join.record(*id)));
            }
        }
        let Some((id, record)) = made else { return false };
        self.out.write(vec![record], Vec::new());
        self.forget_answers(id);
        self.knock_again(id);
        true
    }

    // -- answers ------------------------------------------------------------------------------

    /// A device did not let us in, or keeps our request until an admin decides.
    pub(crate) fn turned_away(&mut self, from: DeviceKey, id: EntityId, why: Turned) {
        let Some(session) = self.sessions.get_mut(&from).filter(|s| s.knocked.contains(&id)) else {
            return self.drop_counted("turned away without a knock");
        };
        let Some(join) = self.joins.get_mut(&id) else { return };
        if why == Turned::Asked {
            return self.requested(id);
        }
        // Before the request is made, a device can only say that it does not know us.
        if join.right.is_yet_to_ask() || why == Turned::NotHere {
            // It may let us in later, and what it answers may be what we showed it before.
            return;
        }
        session.turned.insert(id, why);
        let by_code = matches!(join.right, Right::Code(_));
        let Some(refused) = refused(why, &join.right).filter(|_| join.refused.is_none()) else { return };
        join.refused = Some(refused);
        join.next = self.now.instant + OTHERS_MAY_ADMIT;
        self.out.wake_at(join.next);
        if !by_code {
            // Whoever keeps the request has the time until then to say so once more.
            self.knock_again(id);
        }
    }

    /// A member keeps our request: whoever waits is told, and the join goes on.
    fn requested(&mut self, id: EntityId) {
        let Some(join) = self.joins.get_mut(&id).filter(|j| matches!(j.right, Right::Asking(_))) else {
            return;
        };
        join.requested = true;
        join.refused = None;
        let (asker, words, state) = (join.asker.take(), join.words, join.state());
        if let (Some(asker), Some(words)) = (asker, words) {
            // After the request itself is on this disk too, so that a restart goes on with it.
            let outcome = self.waiting_outcome(words, id, state);
            self.out.write(Vec::new(), vec![After::Answer(asker, outcome)]);
        }
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
}

impl Right {
    /// Whether the request is still being made.
    fn is_yet_to_ask(&self) -> bool {
        matches!(self, Right::Asking(asking) if asking.request.is_none())
    }

    /// What is shown to a device. Who is known to be a member's device needs no request, and who
    /// has none yet may turn out to be one.
    fn proof(&self, me: &Me, is_members: bool) -> Proof {
        match self {
            Right::Code(code) => Proof::Invite {
                invite: code.key().0,
                signature: code.sign_acceptance(&me.certificate).to_vec(),
            },
            Right::Asking(Asking { request: Some(request), .. }) if !is_members => {
                Proof::Request(request.clone())
            }
            Right::Asking(_) | Right::Device => Proof::Member,
        }
    }
}

impl Asking {
    /// When the request was made, if there is one.
    fn time(&self) -> Option<WallTime> {
        Some(Request::read(self.request.as_ref()?).ok()?.time)
    }
}

/// The words do not belong to the id.
fn misnamed(join: &Join, real: Option<crate::words::FourWords>) -> Refusal {
    let words = join.words.map(|words| words.to_string()).unwrap_or_default();
    let (what, new) = match join.right {
        Right::Code(_) => ("code", "ask for a new invite"),
        Right::Asking(_) | Right::Device => ("id", "ask a member for the words and the id"),
    };
    let hint = match real {
        Some(real) => format!("the {what} is for {real}; join that if you trust who gave it to you"),
        None => new.to_owned(),
    };
    refusal(RefusalCode::Usage, format!("this {what} does not belong to {words}"), hint)
}

/// What a person is told who was turned away, if that ends the join.
fn refused(why: Turned, right: &Right) -> Option<Refusal> {
    if matches!(right, Right::Device) {
        // The home says that this person is in, and its word stands above a stranger's.
        return None;
    }
    let by_code = matches!(right, Right::Code(_));
    let invite = "ask for a new invite";
    let (message, hint) = match why {
        Turned::NotHere | Turned::Asked => return None,
        Turned::NoInvite => ("no such invite is open there", invite),
        Turned::Expired if by_code => ("the invite has expired", invite),
        Turned::Expired => ("the request is too old or from the future", "check the clock of this device"),
        Turned::UsedUp => ("the invite was used as often as it may be", invite),
        Turned::BadProof => ("the member did not accept this device's proof", invite),
        Turned::Removed => ("you were removed from it", "an admin can add you again"),
        Turned::Denied => ("an admin decided against it", "ask them in person"),
        Turned::TooMany => ("too many ask to be let in there", "try again later, or ask for an invite"),
    };
    Some(refusal(RefusalCode::NotAllowed, message, hint))
}
