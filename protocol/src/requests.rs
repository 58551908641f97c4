//! Who asks to be let in: keeps requests, passes them on, and has admins decide.
//!
//! Any member keeps requests for the admins who are away; `passing` spreads them, `kept` holds
//! them within bounds. An approval is a roster statement like any other; a denial is a signed word
//! that stands beside the roster and lapses after a while. Invariant: what is kept had its work
//! checked before its signatures, and its person is no member.

mod kept;
mod passing;

use crate::bytes::Writer;
use crate::command::{
    CommandId, MemberCommand, Notice, Outcome, PersonView, Refusal, RefusalCode, Reply, RequestView,
};
use crate::ids::{DeviceKey, EntityId, PersonId};
use crate::outbox::{After, local, refusal};
use crate::record::Record;
use crate::replicator::Replicator;
use crate::request::{Denial, Request};
use crate::roster::{Body, Role};
use crate::schema::rights::Actor;
use crate::wire::Turned;
use crate::words::FourWords;

pub(crate) use kept::{Kept, Unkept};

/// The kinds of the small values that keep requests and denials, each of entity and person.
pub(crate) const REQUEST: &str = "request";
pub(crate) const DENIAL: &str = "denial";

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// When a request that nobody decided is forgotten, and when its maker makes it anew.
const LAPSE_AFTER_MS: u64 = 30 * DAY_MS;
pub(crate) const RENEW_AFTER_MS: u64 = 29 * DAY_MS;

/// How long after a denial the same person may not ask again.
const DENIED_FOR_MS: u64 = 7 * DAY_MS;

/// How far another clock may be ahead of this one.
const CLOCKS_DIFFER_MS: u64 = DAY_MS;

impl Replicator {
    // -- commands -----------------------------------------------------------------------------

    pub(crate) fn ask_requests(
        &mut self,
        id: CommandId,
        words: FourWords,
        command: MemberCommand,
    ) -> Result<(), Refusal> {
        let entity = self.by_words(words).ok_or_else(|| crate::asking::unknown(words))?.id;
        let actor = self.requests_actor(entity, words)?;
        self.tidy_requests(entity);
        match command {
            MemberCommand::Approve { who, role } => self.approve(id, entity, actor, &who, role),
            MemberCommand::Deny { who } => self.deny(id, entity, actor, &who),
            _ => {
                let requests = self.request_views(entity);
                self.want_names_of(&requests);
                self.out.answer(id, Outcome::Done(Reply::Requests(requests)));
                Ok(())
            }
        }
    }

    /// This person, who must be in.
    fn requests_actor(&self, entity: EntityId, words: FourWords) -> Result<Actor, Refusal> {
        let me = self.me.as_ref().map(|me| me.key());
        let actor = me.and_then(|me| self.entities.get(&entity)?.member(me));
        let message = || format!("you are not a member of {words}");
        actor.ok_or_else(|| refusal(RefusalCode::NotAllowed, message(), ""))
    }

    /// Who asks, the oldest first.
    fn request_views(&self, entity: EntityId) -> Vec<RequestView> {
        let kept = self.requests.get(&entity);
        let view = |request: &Request| {
            let (person, name) = (request.person(), request.name.clone());
            let person = PersonView { person, words: self.names.person(person), name };
            let (device, note, asked) = (request.device(), request.note.clone(), request.time);
            RequestView { person, device, note, asked }
        };
        let mut views: Vec<RequestView> = kept.into_iter().flat_map(Kept::requests).map(view).collect();
        views.sort_by_key(|view| (view.asked, view.person.person));
        views
    }

    /// Has the names of those who ask stretched: only when somebody looks, since each costs time.
    fn want_names_of(&mut self, requests: &[RequestView]) {
        for view in requests {
            self.names.want(view.person.person.0, &mut self.out);
        }
    }

    fn approve(
        &mut self,
        id: CommandId,
        entity: EntityId,
        actor: Actor,
        who: &str,
        role: Role,
    ) -> Result<(), Refusal> {
        if actor.role < Role::Admin || actor.role < role {
            let hint = "ask an owner or admin; nobody grants a role above its own";
            return Err(refusal(RefusalCode::NotAllowed, "you may not let anybody in with this role", hint));
        }
        let person = self.person_asking(entity, who)?;
        let request = self.requests.get(&entity).and_then(|kept| kept.request(&person));
        let certificate = request.map(|request| request.certificate.clone());
        let certificate = certificate.ok_or_else(|| nobody_called(who))?;
        let (device, sealing) = (certificate.device.key, certificate.device.sealing);
        let body = Body::Add { certificate, role };
        self.state(entity, body, Vec::new()).ok_or_else(|| {
            refusal(RefusalCode::NotAllowed, "this device may not let anybody in any more", "")
        })?;
        self.seal_to(entity, device, sealing);
        self.tend(entity);
        // Written after the admission and the keys, so durable after them.
        self.out.write(Vec::new(), vec![After::Answer(id, Outcome::Done(Reply::Ok))]);
        Ok(())
    }

    fn deny(&mut self, id: CommandId, entity: EntityId, actor: Actor, who: &str) -> Result<(), Refusal> {
        if actor.role < Role::Admin {
            let hint = "ask an owner or admin";
            return Err(refusal(RefusalCode::NotAllowed, "you may not turn anybody away", hint));
        }
        let person = self.person_asking(entity, who)?;
        let Some(me) = &self.me else { return Ok(()) };
        let denial = Denial::sign(entity, person, self.now.wall, &me.device);
        let after = vec![After::Answer(id, Outcome::Done(Reply::Ok))];
        self.keep_denial(entity, denial, None, after);
        Ok(())
    }

    /// The person that is meant, among those who ask.
    fn person_asking(&mut self, entity: EntityId, who: &str) -> Result<PersonId, Refusal> {
        let views = self.request_views(entity);
        let people: Vec<PersonView> = views.iter().map(|view| view.person.clone()).collect();
        let unnamed = views.iter().any(|view| !self.names.is_known(&view.person.person.0));
        match (meant(who, &people), who.parse::<FourWords>()) {
            (Err(refused), Ok(_)) if refused.code == RefusalCode::NotFound && unnamed => {
                self.want_names_of(&views);
                let message = "the words of those who ask are still being checked";
                Err(refusal(RefusalCode::Pending, message, "try again in a few seconds"))
            }
            (meant, _) => meant,
        }
    }

    // -- what is kept -------------------------------------------------------------------------

    /// Whether a request may be kept, and if not, why. What costs signatures comes last.
    pub(crate) fn weigh_request(&self, id: EntityId, request: &Request) -> Result<(), Unkept> {
        let none = Kept::default();
        let kept = self.requests.get(&id).unwrap_or(&none);
        let denied = kept.denial(&request.person()).filter(|denial| self.counts(denial));
        if denied.is_some_and(|denial| denial.time.0.saturating_add(DENIED_FOR_MS) > request.time.0) {
            return Err(Unkept::Denied);
        }
        kept.has_place_for(request)?;
        if !self.is_timely(request.time.0, LAPSE_AFTER_MS) {
            return Err(Unkept::Untimely);
        }
        let genuine = request.has_work(self.names.naming().work_bits()) && request.is_genuine();
        if genuine { Ok(()) } else { Err(Unkept::Forged) }
    }

    /// Keeps a request that was weighed, and passes it on.
    pub(crate) fn keep_request(
        &mut self,
        id: EntityId,
        request: Request,
        from: Option<DeviceKey>,
        after: Vec<After>,
    ) {
        let bytes = request.bytes().to_vec();
        let record = local(REQUEST, &key(id, request.person()), Some(bytes.clone()));
        self.requests.entry(id).or_default().keep_request(request);
        self.out.write(vec![record], after);
        self.spread_requests(id, from, vec![bytes], Vec::new());
        self.notify_requests(id);
    }

    /// Keeps an admin's denial, forgets the request it answers, and passes it on.
    pub(crate) fn keep_denial(
        &mut self,
        id: EntityId,
        denial: Denial,
        from: Option<DeviceKey>,
        after: Vec<After>,
    ) {
        let (person, bytes) = (denial.person, denial.bytes().to_vec());
        let until = denial.time.0.saturating_add(DENIED_FOR_MS);
        let kept = self.requests.entry(id).or_default();
        let mut records = vec![local(DENIAL, &key(id, person), Some(bytes.clone()))];
        let displaced = kept.keep_denial(denial);
        records.extend(displaced.map(|displaced| local(DENIAL, &key(id, displaced), None)));
        let mut after = after;
        if kept.request(&person).is_some_and(|request| request.time.0 < until)
            && let Some(request) = kept.forget_request(&person)
        {
            records.push(local(REQUEST, &key(id, person), None));
            after.push(After::Turned(id, request.device(), Turned::Denied));
        }
        self.out.write(records, after);
        self.spread_requests(id, from, Vec::new(), vec![bytes]);
        self.notify_requests(id);
    }

    /// Whether a denial is an admin's now.
    fn counts(&self, denial: &Denial) -> bool {
        let author = self.entities.get(&denial.entity).and_then(|entity| entity.member(denial.author));
        author.is_some_and(|author| author.role >= Role::Admin)
    }

    /// Whether a claimed time is neither from the future nor longer ago than this.
    fn is_timely(&self, time_ms: u64, lapse_ms: u64) -> bool {
        let now = self.now.wall.0;
        time_ms <= now.saturating_add(CLOCKS_DIFFER_MS) && time_ms.saturating_add(lapse_ms) > now
    }

    /// Forgets requests that were decided or that nobody decided for long: after every change of
    /// the roster, and before requests are shown or passed on. Who was let in is given the roster.
    pub(crate) fn tidy_requests(&mut self, id: EntityId) {
        let (Some(entity), Some(kept)) = (self.entities.get(&id), self.requests.get(&id)) else { return };
        let me = self.me.as_ref().map(|me| me.key());
        let inside = me.is_some_and(|me| entity.member(me).is_some());
        let mut gone = Vec::new();
        let mut after = Vec::new();
        for request in kept.requests() {
            let (person, device) = (request.person(), request.device());
            let let_in = entity.roster.reading().is_member(&person);
            let is_seated = entity.member(device).is_some();
            // The keys follow the admission; without them the roster is of no use to the joiner.
            let keyed = !entity.roster.seals_for(&device).is_empty();
            if let_in && is_seated && keyed && self.sessions.contains_key(&device) {
                after.push(After::Welcome(id, device));
            }
            let decided = let_in && (keyed || !is_seated);
            if decided || !inside || !self.is_timely(request.time.0, LAPSE_AFTER_MS) {
                gone.push(person);
            }
        }
        let lapsed = |denial: &&Denial| !self.is_timely(denial.time.0, LAPSE_AFTER_MS + DENIED_FOR_MS);
        let lapsed: Vec<PersonId> =
            kept.denials().filter(|denial| !inside || lapsed(denial)).map(|denial| denial.person).collect();
        if gone.is_empty() && lapsed.is_empty() {
            return;
        }
        let Some(kept) = self.requests.get_mut(&id) else { return };
        gone.iter().for_each(|person| drop(kept.forget_request(person)));
        lapsed.iter().for_each(|person| kept.forget_denial(person));
        let requests = gone.iter().map(|person| local(REQUEST, &key(id, *person), None));
        let denials = lapsed.iter().map(|person| local(DENIAL, &key(id, *person), None));
        self.out.write(requests.chain(denials).collect::<Vec<Record>>(), after);
        self.notify_requests(id);
    }

    fn notify_requests(&mut self, id: EntityId) {
        if let Some(words) = self.names.entity(id) {
            self.out.notify(Notice::RequestsChanged(words));
        }
    }

    /// Takes what was kept from an earlier run. Its signatures were checked before it was stored.
    pub(crate) fn restore_request(&mut self, value: &[u8]) {
        if let Ok(request) = Request::read(value) {
            self.requests.entry(request.entity).or_default().keep_request(request);
        }
    }

    /// Takes what was kept from an earlier run, as `restore_request`.
    pub(crate) fn restore_denial(&mut self, value: &[u8]) {
        if let Ok(denial) = Denial::read(value) {
            self.requests.entry(denial.entity).or_default().keep_denial(denial);
        }
    }
}

fn key(entity: EntityId, person: PersonId) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.raw(&entity.0).raw(&person.0);
    writer.into_bytes()
}

/// The one person of these whom somebody means by four words, by the name shown where only one
/// has it, or by the first digits of the id.
pub(crate) fn meant(who: &str, among: &[PersonView]) -> Result<PersonId, Refusal> {
    let who = who.trim();
    let words = who.parse::<FourWords>().ok();
    let is_id =
        |view: &PersonView| !who.is_empty() && view.person.to_string().starts_with(&who.to_lowercase());
    let is_name = |view: &PersonView| !who.is_empty() && view.name == who;
    let ways: [&dyn Fn(&PersonView) -> bool; 3] =
        [&|view| words.is_some() && view.words == words, &is_name, &is_id];
    let fitting = ways.iter().map(|way| among.iter().filter(|view| way(view)).collect::<Vec<_>>());
    let fitting = fitting.into_iter().find(|fitting| !fitting.is_empty()).unwrap_or_default();
    match fitting[..] {
        [one] => Ok(one.person),
        [] => Err(nobody_called(who)),
        _ => {
            let ids: Vec<String> = fitting.iter().map(|view| view.person.short()).collect();
            let message = format!("\"{who}\" may be any of {}", ids.join(", "));
            Err(refusal(RefusalCode::Usage, message, "name one by its four words or its id"))
        }
    }
}

fn nobody_called(who: &str) -> Refusal {
    refusal(RefusalCode::NotFound, format!("nobody here is called \"{who}\""), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(byte: u8, words: Option<u8>, name: &str) -> PersonView {
        let words = words.map(|byte| FourWords::from_bytes([byte; 6]));
        PersonView { person: PersonId([byte; 32]), words, name: name.to_owned() }
    }

    #[test]
    fn a_person_is_meant_by_words_by_a_name_that_one_has_or_by_the_first_digits() {
        let people = [person(0xa1, Some(1), "Ada"), person(0xa2, Some(2), "Ben"), person(0xb3, None, "Ben")];
        let of = |who: &str| meant(who, &people).map(|person| person.0[0]);
        assert_eq!(of(&FourWords::from_bytes([2; 6]).to_string()), Ok(0xa2));
        assert_eq!(of(" Ada "), Ok(0xa1));
        assert_eq!(of("B3"), Ok(0xb3));
        let code = |who: &str| of(who).map_err(|refusal| refusal.code);
        assert_eq!(code("Ben"), Err(RefusalCode::Usage));
        assert_eq!(code("a"), Err(RefusalCode::Usage));
        assert_eq!(code("Eve"), Err(RefusalCode::NotFound));
        assert_eq!(code(""), Err(RefusalCode::NotFound));
    }
}
