//! Answers what people and programs on this device ask, or hands it to who decides.
//!
//! A command about a document waits until the document is in memory. What a command writes is
//! answered when it is durable; what is wrong with it is said at once, with what to do about it.

mod chats;
mod history;
mod texts;
mod things;

use rand::Rng;

use crate::command::{
    ChatCommand, Command, CommandId, DeviceCommand, HistoryCommand, Kind, MemberCommand, Outcome, Refusal,
    RefusalCode, Reply, TextCommand,
};
use crate::effect::Effect;
use crate::entity::Entity;
use crate::ids::{DocumentKey, EntityId};
use crate::limits::{INVITE_ADDRESSES_MAX, INVITE_USES_MAX, NAME_BYTES_MAX};
use crate::outbox::{After, refusal};
use crate::replicator::{Replicator, storage_refusal};
use crate::roster::invite::InviteCode;
use crate::roster::{Body, Role};
use crate::schema::rights::Actor;
use crate::schema::{Concern, Put, core, home};
use crate::time::WallTime;
use crate::undoing::Way;
use crate::words::FourWords;

pub(crate) use history::Histories;
use things::Request;

impl Replicator {
    pub(crate) fn ask(&mut self, id: CommandId, command: Command) {
        if let Some(refused) = self.unready_for(&command) {
            return self.out.refuse(id, refused);
        }
        if let Some(refused) = self.unkept_for(&command) {
            self.walks.remove(&id);
            return self.out.refuse(id, refused);
        }
        if let Some((entity, core)) = self.core_wanted(&command) {
            self.deferred.entry(core).or_default().push((id, command));
            return self.load_documents(entity);
        }
        let refused = match command {
            Command::Status => self.say_status(id),
            Command::SetName(name) => self.set_name(id, name),
            Command::Phrase => self.phrase(id),
            Command::ForgetRoot => self.forget_root(id),
            Command::Create { kind, name, parent } => self.ask_create(id, kind, name, parent),
            Command::Entities => self.say(id, Reply::Entities(self.entity_views())),
            Command::Show(words) => self.show(id, words),
            Command::Members(words) => self.members(id, words),
            Command::Core(words) => self.say_core(id, words),
            Command::Leave(words) => self.leave(id, words),
            Command::Invite { entity, role, uses, expires, addresses } => {
                self.invite(id, entity, role, uses, expires, addresses)
            }
            Command::Join { words, by, peers } => self.join(id, words, by, peers),
            Command::Joins => self.list_joins(id),
            Command::CancelJoin(words) => self.cancel_join(id, words),
            Command::Configure(words, setting) => self.configure(id, words, setting),
            Command::Member(words, command) => match command {
                MemberCommand::Requests | MemberCommand::Approve { .. } | MemberCommand::Deny { .. } => {
                    self.ask_requests(id, words, command)
                }
                _ => self.govern(id, words, command),
            },
            Command::Device(command) => self.ask_devices(id, command),
            Command::Unaccepted(words) => self.unaccepted(id, words),
            Command::StopWaiting(asker) => self.stop_asking(id, asker),
            Command::Places => self.list_places(id),
            Command::Copy { entity, concern, segment, known } => {
                self.copy(id, entity, (concern, segment), known)
            }
            Command::Chat(words, ChatCommand::MarkRead(marker)) => self.mark_read(id, words, marker),
            Command::Chat(words, command) => self.chat(id, words, command),
            Command::Board(words, command) => self.ask_things(id, words, Request::Board(command)),
            Command::Issue(words, command) => self.ask_things(id, words, Request::Issue(command)),
            Command::Canvas(words, command) => self.ask_things(id, words, Request::Canvas(command)),
            Command::Text(words, file, command) => self.ask_text(id, words, file, command),
            Command::Undo(words, concern) => self.ask_revert(id, Way::Undo, words, concern),
            Command::Redo(words, concern) => self.ask_revert(id, Way::Redo, words, concern),
            Command::History(words, concern, command) => self.ask_history(id, words, concern, command),
            Command::SyncStatus(words) => self.sync_status(id, words),
            Command::Tombstones(words) => self.tombstones(id, words),
            Command::Documents(words) => self.sizes(id, words),
            Command::Drop(words, concern) => self.drop_series(id, words, concern),
            Command::Keep(words, concern) => self.keep_series(id, words, concern),
            Command::Point(words, presence) => self.ask_show(id, words, presence.scene(), Some(presence)),
            Command::Unpoint(words, scene) => self.ask_show(id, words, scene, None),
            Command::Present(words) => self.ask_present(id, words),
            Command::Peers => self.say(id, Reply::Peers(self.peer_views())),
            Command::Dial(address) => {
                self.out.push(Effect::Connect(address));
                self.say(id, Reply::Ok)
            }
        };
        if let Err(refused) = refused {
            self.out.refuse(id, refused);
        }
    }

    /// Why this node can do nothing of the kind now, if so.
    fn unready_for(&self, command: &Command) -> Option<Refusal> {
        match &self.read_only {
            Some(reason) if !self.opening.done => {
                Some(refusal(RefusalCode::Storage, format!("the node does not serve: {reason}"), ""))
            }
            None if !self.opening.done => {
                Some(refusal(RefusalCode::Pending, "the node is starting", "try again in a few seconds"))
            }
            Some(reason) if writes(command) => Some(storage_refusal(reason)),
            Some(_) | None => None,
        }
    }

    /// A core document that must be in memory before a command can show names, if one is not.
    fn core_wanted(&self, command: &Command) -> Option<(EntityId, DocumentKey)> {
        let wanted = |entity: &Entity| match command {
            Command::Entities => entity.kind != Kind::Home,
            Command::Show(words)
            | Command::Members(words)
            | Command::Core(words)
            | Command::Member(words, _)
            | Command::Board(words, _)
            | Command::Issue(words, _)
            | Command::Canvas(words, _)
            | Command::Present(words)
            | Command::Undo(words, _)
            | Command::Redo(words, _)
            | Command::History(words, ..)
            | Command::Configure(words, _) => {
                entity.places().any(|place| self.names.entity(place) == Some(*words))
            }
            _ => false,
        };
        let wanted = self.entities.values().filter(|e| wanted(e));
        let mut documents = wanted.flat_map(|e| e.replicas.values().map(|r| (e.id, r)));
        let cold = documents.find(|(_, r)| r.concern == Concern::Core && r.live().is_none());
        cold.map(|(id, core)| (id, core.key))
    }

    fn say(&mut self, id: CommandId, reply: Reply) -> Result<(), Refusal> {
        self.out.answer(id, Outcome::Done(reply));
        Ok(())
    }

    fn stop_asking(&mut self, id: CommandId, asker: CommandId) -> Result<(), Refusal> {
        self.stop_waiting(asker);
        self.stop_linking(asker);
        self.say(id, Reply::Ok)
    }

    // -- this node ----------------------------------------------------------------------------

    fn set_name(&mut self, id: CommandId, name: String) -> Result<(), Refusal> {
        check_name(&name)?;
        let Some(me) = &mut self.me else { return Ok(()) };
        let put = home::set_setting(home::NAME, name.as_bytes()).ok();
        let home = me.home;
        me.name = name;
        let record = me.record();
        self.out.write(vec![record], vec![After::Answer(id, Outcome::Done(Reply::Ok))]);
        self.put_own((home, home), &Concern::Home, put, None);
        let entities: Vec<EntityId> = self.entities.keys().copied().collect();
        for entity in entities {
            self.tell_name(entity);
        }
        Ok(())
    }

    fn phrase(&mut self, id: CommandId) -> Result<(), Refusal> {
        let root = self.me.as_ref().and_then(|me| me.root.as_ref());
        let phrase = root.map(|root| root.phrase().to_string()).ok_or_else(|| {
            refusal(
                RefusalCode::NotFound,
                "the root key has left this device",
                "the phrase was written down when it was shown",
            )
        })?;
        self.say(id, Reply::Phrase(phrase))
    }

    fn forget_root(&mut self, id: CommandId) -> Result<(), Refusal> {
        let Some(me) = &mut self.me else { return Ok(()) };
        me.root = None;
        let record = me.record();
        self.out.write(vec![record], vec![After::Answer(id, Outcome::Done(Reply::Ok))]);
        Ok(())
    }

    // -- entities -----------------------------------------------------------------------------

    fn ask_create(
        &mut self,
        id: CommandId,
        kind: Kind,
        name: String,
        parent: Option<FourWords>,
    ) -> Result<(), Refusal> {
        check_name(&name)?;
        self.check_not_linking()?;
        if kind == Kind::Home {
            return Err(refusal(RefusalCode::Usage, "a home is made by the node itself", ""));
        }
        let parent = parent.map(|parent| self.parent_for(kind, parent)).transpose()?;
        self.create(id, kind, name, parent);
        Ok(())
    }

    fn show(&mut self, id: CommandId, words: FourWords) -> Result<(), Refusal> {
        let place = self.place(words);
        let view = place.and_then(|(e, place)| self.entity_view(e, place)).ok_or_else(|| unknown(words))?;
        self.say(id, Reply::Entity(view))
    }

    fn say_core(&mut self, id: CommandId, words: FourWords) -> Result<(), Refusal> {
        let (entity, place) = self.place(words).ok_or_else(|| unknown(words))?;
        let view = self.core_view(entity, place).ok_or_else(|| unknown(words))?;
        self.say(id, Reply::Core(Box::new(view)))
    }

    fn members(&mut self, id: CommandId, words: FourWords) -> Result<(), Refusal> {
        let (entity, _) = self.place(words).ok_or_else(|| unknown(words))?;
        let members = self.member_views(entity);
        self.say(id, Reply::Members(members))
    }

    fn leave(&mut self, id: CommandId, words: FourWords) -> Result<(), Refusal> {
        let entity = self.by_words(words).ok_or_else(|| unknown(words))?.id;
        let after = vec![After::Answer(id, Outcome::Done(Reply::Ok))];
        let me = self.actor(entity).map(|actor| actor.person);
        let vectors = me.and_then(|me| Some(self.entities.get(&entity)?.vectors_of(me))).unwrap_or_default();
        self.state(entity, Body::Leave { vectors }, after).ok_or_else(|| self.not_in(entity, words))?;
        self.tend(entity);
        self.forget_group(entity);
        Ok(())
    }

    fn invite(
        &mut self,
        id: CommandId,
        words: FourWords,
        role: Role,
        uses: u32,
        expires: WallTime,
        addresses: Vec<String>,
    ) -> Result<(), Refusal> {
        let entity = self.by_words(words).ok_or_else(|| unknown(words))?.id;
        if uses == 0 || uses > INVITE_USES_MAX || addresses.len() > INVITE_ADDRESSES_MAX {
            return Err(refusal(
                RefusalCode::Usage,
                format!("an invite admits 1 to {INVITE_USES_MAX} people"),
                "",
            ));
        }
        if expires <= self.now.wall {
            return Err(refusal(
                RefusalCode::Usage,
                "the invite would have expired already",
                "give a later time",
            ));
        }
        if !self.may_invite(entity, role) {
            let hint = "ask an owner or admin; nobody grants a role above its own";
            return Err(refusal(
                RefusalCode::NotAllowed,
                format!("you may not invite to {words} with this role"),
                hint,
            ));
        }
        let mut secret = [0; 16];
        self.random.fill_bytes(&mut secret);
        let code = InviteCode { entity, secret, addresses };
        let body = Body::OpenInvite { key: code.key(), role, expires, uses };
        let after = vec![After::Answer(id, Outcome::Done(Reply::Invite(code)))];
        self.state(entity, body, after).map(|_| ()).ok_or_else(|| self.not_in(entity, words))
    }

    // -- what the node writes by itself -------------------------------------------------------

    /// Writes an entity's name into its core document.
    pub(crate) fn name_entity(&mut self, id: EntityId, name: &str, answer: Option<(CommandId, Outcome)>) {
        let put = self.actor(id).and_then(|actor| core::set_entity_name(&actor, name).ok());
        self.put_own((id, id), &Concern::Core, put, answer);
        self.remember_entity(id);
    }

    /// Notes in this person's home that it has left an entity, so that no device goes back.
    fn forget_group(&mut self, id: EntityId) {
        let Some(home) = self.me.as_ref().map(|me| me.home) else { return };
        let put = self.home_document().and_then(|live| home::leave_group(&live.document, id));
        self.put_own((home, home), &Concern::Home, put, None);
    }

    /// Lists an entity in this person's home, and tells its members this person's name.
    pub(crate) fn remember_entity(&mut self, id: EntityId) {
        let (Some(entity), Some(home)) = (self.entities.get(&id), self.me.as_ref().map(|me| me.home)) else {
            return;
        };
        if let Some(words) = self.names.entity(id).filter(|_| id != home) {
            let put = home::join_group(id, entity.kind, words.to_bytes(), self.now.wall);
            self.put_own((home, home), &Concern::Home, Some(put), None);
        }
        self.tell_name(id);
    }

    /// Writes this person's name into an entity's core document, if one was set.
    fn tell_name(&mut self, id: EntityId) {
        let name = self.me.as_ref().map(|me| me.name.clone()).filter(|name| !name.is_empty());
        let (Some(name), Some(actor)) = (name, self.actor(id)) else { return };
        let put = core::set_shown_name(&actor, &name).ok();
        self.put_own((id, id), &Concern::Core, put, None);
    }

    /// Writes into a document of an entity, or of a child of it, as this device.
    pub(crate) fn put_own(
        &mut self,
        (id, place): (EntityId, EntityId),
        concern: &Concern,
        put: Option<Put>,
        answer: Option<(CommandId, Outcome)>,
    ) {
        let document = self.entities.get(&id).and_then(|e| e.document(place, concern)).map(|r| r.key);
        if let (Some(put), Some(document)) = (put, document) {
            self.put(id, document, vec![put], answer);
        } else if let Some((asker, outcome)) = answer {
            self.out.answer(asker, outcome);
        }
    }

    /// This person as an entity's roster has it now.
    pub(crate) fn actor(&self, id: EntityId) -> Option<Actor> {
        self.entities.get(&id)?.member(self.me.as_ref()?.key())
    }

    fn say_status(&mut self, id: CommandId) -> Result<(), Refusal> {
        let status = self.status();
        let status =
            status.ok_or_else(|| refusal(RefusalCode::Pending, "the node is starting", "try again"))?;
        self.say(id, Reply::Status(status))
    }
}

fn writes(command: &Command) -> bool {
    match command {
        Command::SetName(_)
        | Command::ForgetRoot
        | Command::Create { .. }
        | Command::Leave(_)
        | Command::Invite { .. }
        | Command::Join { .. }
        | Command::CancelJoin(_)
        | Command::Configure(..)
        | Command::Undo(..)
        | Command::Redo(..)
        | Command::Drop(..)
        | Command::Keep(..) => true,
        Command::Member(_, command) => !matches!(command, MemberCommand::Requests | MemberCommand::Invites),
        Command::Device(command) => !matches!(command, DeviceCommand::List),
        Command::Chat(_, command) => !matches!(command, ChatCommand::Read { .. }),
        Command::Board(_, command) => command.writes(),
        Command::Issue(_, command) => command.writes(),
        Command::Canvas(_, command) => command.writes(),
        Command::Text(_, _, command) => matches!(command, TextCommand::Edit(_)),
        Command::History(_, _, command) => matches!(command, HistoryCommand::Restore { .. }),
        _ => false,
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), Refusal> {
    if name.trim().is_empty() || name.len() > NAME_BYTES_MAX {
        let message = format!("a name has 1 to {NAME_BYTES_MAX} bytes");
        return Err(refusal(RefusalCode::Usage, message, "give a shorter name"));
    }
    Ok(())
}

pub(crate) fn unknown(words: FourWords) -> Refusal {
    refusal(
        RefusalCode::NotFound,
        format!("you are not in {words}"),
        "see `fourword group list`, or ask a member for an invite",
    )
}
