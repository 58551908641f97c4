//! Acts of members on members: removal, roles, invites, settings, and the keys that follow.
//!
//! The roster alone says who may do what, so every act is first tried on a copy of it: what would
//! not count is never signed, and the person is told why. `held` says what this device had of
//! somebody who was ended or lowered, `epochs` opens new keys, `keys` gives them out.

mod epochs;
mod held;
mod keys;

pub(crate) use epochs::{Haste, Rotation};
pub(crate) use keys::Asking;

use crate::asking::unknown;
use crate::command::{CommandId, InviteView, MemberCommand, Outcome, Refusal, RefusalCode, Reply};
use crate::entity::Entity;
use crate::ids::{EntityId, PersonId};
use crate::outbox::{After, refusal};
use crate::replicator::Replicator;
use crate::roster::{Body, Invite, Member, Reading, Role, Signer};
use crate::schema::core::{self, CoreError, Setting};
use crate::schema::{Concern, rights::Actor};
use crate::words::FourWords;

/// Digits of a key that name an invite at least: fewer name too many.
const DIGITS_MIN: usize = 4;

impl Replicator {
    pub(crate) fn govern(
        &mut self,
        id: CommandId,
        words: FourWords,
        command: MemberCommand,
    ) -> Result<(), Refusal> {
        let entity = self.by_words(words).ok_or_else(|| unknown(words))?;
        let within = entity.id;
        if let MemberCommand::Invites = command {
            let invites = self.invite_views(entity);
            self.out.answer(id, Outcome::Done(Reply::Invites(invites)));
            return Ok(());
        }
        let me = self.acting(entity, words)?;
        let (body, told) = match command {
            MemberCommand::Remove { who } => self.removal(entity, &me, &who)?,
            MemberCommand::SetRole { who, role } => match self.role_change(entity, &me, &who, role)? {
                Some(change) => change,
                None => {
                    self.out.answer(id, Outcome::Done(Reply::Ok));
                    return Ok(());
                }
            },
            MemberCommand::CloseInvite { invite } => self.closing(entity, &me, &invite)?,
            MemberCommand::Invites
            | MemberCommand::Requests
            | MemberCommand::Approve { .. }
            | MemberCommand::Deny { .. } => {
                return Err(refusal(RefusalCode::Internal, "asked of the wrong part", "please report this"));
            }
        };
        self.act(within, body, vec![After::Answer(id, Outcome::Done(Reply::Ok))], told)
    }

    /// Signs an act of this member if it would count and do what it says; opens a new epoch with it
    /// where none fits then. Both are durable before the answer goes out.
    fn act(&mut self, id: EntityId, body: Body, after: Vec<After>, told: Told) -> Result<(), Refusal> {
        let (Some(me), Some(entity)) = (&self.me, self.entities.get(&id)) else { return Ok(()) };
        let refused = || refusal(RefusalCode::NotAllowed, told.refused.clone(), told.hint);
        let signer = Signer::Device(&me.device);
        let statement = entity.roster.draft(signer, body.clone()).map_err(|_| refused())?;
        let mut tried = entity.roster.clone();
        let act = statement.id();
        tried.add(statement);
        let counts = tried.contains(&act) && !tried.reading().ignored.contains_key(&act);
        if !counts || !told.goal.is_met(tried.reading()) {
            return Err(refused());
        }
        self.out.gather();
        self.state(id, body, after);
        self.rotate_if_needed(id, Haste::Now);
        self.out.release();
        self.tend(id);
        Ok(())
    }

    /// This person as a member who may act, or why it may not.
    fn acting(&self, entity: &Entity, words: FourWords) -> Result<Acting, Refusal> {
        let person = self.me.as_ref().map(|me| (me.person(), me.key()));
        let acting = person.and_then(|(person, device)| {
            let actor = entity.member(device)?;
            let rank = entity.roster.reading().members.get(&person)?.rank;
            Some(Acting { actor, rank })
        });
        acting.ok_or_else(|| self.not_in(entity.id, words))
    }

    fn removal(&self, entity: &Entity, me: &Acting, who: &str) -> Result<(Body, Told), Refusal> {
        let person = self.person_named(entity, who)?;
        if person == me.actor.person {
            return Err(refusal(RefusalCode::Usage, "you cannot remove yourself", "leave the group instead"));
        }
        let named = self.naming(entity, person);
        self.over(entity, me, person, "remove")?;
        let body = Body::Remove { person, vectors: entity.vectors_of(person) };
        Ok((body, Told::new(Goal::Out(person), format!("you may not remove {named}"))))
    }

    /// `None` if the person has this role already.
    fn role_change(
        &self,
        entity: &Entity,
        me: &Acting,
        who: &str,
        role: Role,
    ) -> Result<Option<(Body, Told)>, Refusal> {
        let person = self.person_named(entity, who)?;
        let named = self.naming(entity, person);
        let now = entity.roster.reading().role_of(&person);
        let own = person == me.actor.person;
        if role > me.actor.role {
            let hint = "nobody grants a role above its own; ask who has it";
            let message = format!("you are {} and cannot make anybody {}", a(me.actor.role), a(role));
            return Err(refusal(RefusalCode::NotAllowed, message, hint));
        }
        if now == Some(role) {
            return Ok(None);
        }
        let owners = entity.roster.reading().members.values().filter(|m| m.role == Role::Owner).count();
        if own && now == Some(Role::Owner) && owners == 1 {
            let hint = "make somebody else owner first";
            return Err(refusal(RefusalCode::NotAllowed, "you are the last owner", hint));
        }
        if !own {
            self.over(entity, me, person, "change the role of")?;
        }
        let vectors = if now > Some(role) { entity.vectors_of(person) } else { Vec::new() };
        let told = Told::new(Goal::Role(person, role), format!("you may not make {named} {}", a(role)));
        Ok(Some((Body::SetRole { person, role, vectors }, told)))
    }

    fn closing(&self, entity: &Entity, me: &Acting, digits: &str) -> Result<(Body, Told), Refusal> {
        let digits = digits.trim().to_ascii_lowercase();
        let known = shown_invites(entity);
        let fitting: Vec<&Invite> =
            known.iter().filter(|invite| invite.key.to_string().starts_with(&digits)).collect();
        let hint = "`fourword invite list` shows the keys of invites";
        let invite = match &fitting[..] {
            _ if digits.len() < DIGITS_MIN => {
                let message = format!("at least {DIGITS_MIN} digits name an invite");
                return Err(refusal(RefusalCode::Usage, message, hint));
            }
            [] => {
                return Err(refusal(RefusalCode::NotFound, format!("no invite is named {digits:?}"), hint));
            }
            [invite] => **invite,
            several => {
                let message = format!("{digits:?} may be any of {} invites", several.len());
                return Err(refusal(RefusalCode::Usage, message, "give more digits"));
            }
        };
        let opener = self.naming(entity, invite.opener);
        if invite.opener != me.actor.person {
            if me.actor.role < Role::Admin {
                let hint = "only who made it may, or an admin or owner senior to them";
                return Err(refusal(RefusalCode::NotAllowed, format!("this invite is {opener}'s"), hint));
            }
            self.over(entity, me, invite.opener, "close the invite of")?;
        }
        let told = Told::new(Goal::Counts, format!("you may not close the invite of {opener}"));
        Ok((Body::CloseInvite { invite: invite.statement }, told))
    }

    /// Whether this person rules over another: it is owner or admin, and strictly senior.
    fn over(&self, entity: &Entity, me: &Acting, person: PersonId, what: &str) -> Result<(), Refusal> {
        let named = self.naming(entity, person);
        let Some(Member { rank, .. }) = entity.roster.reading().members.get(&person) else { return Ok(()) };
        if me.actor.role < Role::Admin {
            let message = format!("you are {} and cannot {what} {named}", a(me.actor.role));
            return Err(refusal(RefusalCode::NotAllowed, message, "ask an admin or owner"));
        }
        if *rank < me.rank {
            let hint = "who let somebody in is senior to them; ask somebody senior to both";
            let message = format!("{named} is senior to you: you cannot {what} {named}");
            return Err(refusal(RefusalCode::NotAllowed, message, hint));
        }
        Ok(())
    }

    fn invite_views(&self, entity: &Entity) -> Vec<InviteView> {
        let view = |invite: Invite| InviteView {
            key: invite.key,
            statement: invite.statement,
            opener: self.person_shown(entity, invite.opener),
            role: invite.role,
            uses: invite.uses,
            used: invite.used,
            expires: invite.expires,
            open: invite.open && invite.used < invite.uses && invite.expires > self.now.wall,
        };
        shown_invites(entity).into_iter().map(view).collect()
    }

    // -- settings -----------------------------------------------------------------------------

    pub(crate) fn configure(
        &mut self,
        id: CommandId,
        words: FourWords,
        setting: Setting,
    ) -> Result<(), Refusal> {
        let (entity, place) = self.place(words).ok_or_else(|| unknown(words))?;
        let within = entity.id;
        if place != within && setting.is_of_roster() {
            let of = self.names.entity(within).map(|of| of.to_string()).unwrap_or_default();
            let message =
                format!("{words} has the members of {of}, and what is settled there holds here too");
            return Err(refusal(RefusalCode::Usage, message, format!("`fourword group set {of}`")));
        }
        let core = entity.document(place, &Concern::Core);
        let Some((core, room)) = core.map(|core| (core.key, core.has_room())) else {
            return Err(refusal(RefusalCode::NotFound, format!("{words} says nothing of itself"), ""));
        };
        let actor = self.ready_to_write(within, words)?;
        let put = core::set(&actor, &setting).map_err(|error| {
            let hint = match error {
                CoreError::Denied(_) => "ask an admin or owner",
                _ => "`fourword group set --help` shows what can be given",
            };
            refusal(error.code(), error.to_string(), hint)
        })?;
        if !room {
            let message = "too many writes wait for the disk";
            return Err(refusal(RefusalCode::TooMuch, message, "try again in a moment"));
        }
        let puts = vec![put];
        self.check_room(within, core, &puts)?;
        self.put(within, core, puts, Some((id, Outcome::Done(Reply::Ok))));
        Ok(())
    }

    /// Says that this person is no member, and how that came.
    pub(crate) fn not_in(&self, id: EntityId, words: FourWords) -> Refusal {
        let me = self.me.as_ref().map(|me| me.person());
        let removed = me.is_some_and(|me| self.entities.get(&id).is_some_and(|e| e.roster.was_removed(&me)));
        if removed {
            let hint = "what was written before can still be read; an admin can add you again";
            return refusal(RefusalCode::NotAllowed, format!("you were removed from {words}"), hint);
        }
        refusal(RefusalCode::NotAllowed, format!("you are not a member of {words}"), "")
    }
}

/// What is said where a home is to be written in and this device is none of its person's any more.
pub(crate) fn not_ours() -> Refusal {
    let hint = "`fourword device add` on another of your devices makes a code to link it again";
    refusal(RefusalCode::NotAllowed, "this device is no longer one of yours", hint)
}

/// This person, as the roster has it.
struct Acting {
    actor: Actor,
    rank: usize,
}

/// What an act is for, and what its author is told if it would not do that.
struct Told {
    goal: Goal,
    refused: String,
    hint: &'static str,
}

enum Goal {
    /// The act counts.
    Counts,
    /// The person is no member any more.
    Out(PersonId),
    /// The person has this role.
    Role(PersonId, Role),
}

impl Told {
    fn new(goal: Goal, refused: String) -> Told {
        Told { goal, refused, hint: "it takes an owner or admin who is senior to them" }
    }
}

impl Goal {
    fn is_met(&self, reading: &Reading) -> bool {
        match self {
            Goal::Counts => true,
            Goal::Out(person) => !reading.is_member(person),
            Goal::Role(person, role) => reading.role_of(person) == Some(*role),
        }
    }
}

/// Invites that count: what was opened without the right to is nobody's concern.
fn shown_invites(entity: &Entity) -> Vec<Invite> {
    let ignored = &entity.roster.reading().ignored;
    entity.roster.invites().into_iter().filter(|invite| !ignored.contains_key(&invite.statement)).collect()
}

/// A role with its article.
fn a(role: Role) -> &'static str {
    match role {
        Role::Viewer => "a viewer",
        Role::Member => "a member",
        Role::Admin => "an admin",
        Role::Owner => "an owner",
    }
}
