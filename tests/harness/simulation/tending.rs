//! What people do besides writing and working, in the profile in which they work: they say what a group
//! is for, pin, attach and mark what they read, and bring documents back to how they were.

use fourword_protocol::command::{ChatCommand, Command, HistoryCommand, Reply};
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::chat::{Attachment, NewMessage};
use fourword_protocol::schema::core::Setting;
use fourword_protocol::schema::home::ReadMarker;
use rand::Rng;

use super::schedule::Schedule;
use super::working::Desk;
use super::world::{Intent, What};
use crate::draw;

/// Of so many messages the last are looked at by who reads.
const READ: u32 = 20;

/// Of so many versions one is brought back.
const VERSIONS: usize = 30;

impl Schedule {
    /// Says what a group is, as its admins may.
    pub(super) fn tend_group(&mut self, desk: &Desk) {
        let number = self.world.number();
        let setting = match self.random.next_u64() % 4 {
            0..=1 => Setting::Name(format!("name {number}")),
            2 => Setting::Description(format!("for {number}")),
            _ => Setting::Website(draw::once_in(&mut self.random, 2).then_some([7; 32])),
        };
        // Most have no right to; the founder has.
        let founder = self.world.groups[self.world.root_of(desk.group)].founder;
        let node = self.world.people[founder].nodes[0].clone();
        let is_there = self.world.is_honest(&node) && self.c.is_up(&node) && self.c.device(&node).is_some();
        let by = if is_there && draw::once_in(&mut self.random, 2) { &node } else { &desk.name };
        self.begin(by, Command::Configure(desk.words, setting), Intent::Other("groups described"));
    }

    /// Pins, attaches to, or marks as read what is in a chat.
    pub(super) fn tend_chat(&mut self, desk: &Desk) {
        let message = self.saved_in(desk.group, What::Message, None);
        let (command, intent) = match (self.random.next_u64() % 4, message) {
            (0..=1, Some(message)) => {
                let on = !draw::once_in(&mut self.random, 3);
                (ChatCommand::Pin { message, on }, Intent::Other("messages pinned"))
            }
            (2, _) => {
                let read = Command::Chat(desk.words, ChatCommand::Read { last: READ });
                let Some(Reply::Messages(messages)) = self.c.peek(&desk.name, read) else { return };
                let Some(read) = draw::one_of(&mut self.random, &messages) else { return };
                let marker = ReadMarker { time: read.message.time, message: read.message.id };
                (ChatCommand::MarkRead(marker), Intent::Other("chats marked as read"))
            }
            _ => {
                let text = self.world.new_text(desk.person, desk.group, 0);
                let file = Attachment { blob: [9; 32], size_bytes: 3, name: "plan.pdf".into() };
                let new = NewMessage { text: text.clone(), parent: None, attachments: vec![file] };
                (ChatCommand::Send(new), Intent::send(desk.group, text))
            }
        };
        self.begin(&desk.name, Command::Chat(desk.words, command), intent);
    }

    /// Looks up which versions a document has, or brings all of it back to one that was looked up.
    pub(super) fn bring_back(&mut self, desk: &Desk) {
        let Some((of, versions)) = self.world.versions.remove(&(desk.name.clone(), desk.group)) else {
            let concerns = [Concern::Kanban, Concern::Issues, Concern::Canvas, Concern::Core];
            let Some(of) = draw::one_of(&mut self.random, &concerns).copied() else { return };
            let list = HistoryCommand::List { of: None, before: None, limit: VERSIONS };
            let intent = Intent::Versions { group: desk.group, of };
            self.begin(&desk.name, Command::History(desk.words, of, list), intent);
            return;
        };
        let Some(version) = draw::one_of(&mut self.random, &versions).map(ToString::to_string) else {
            return;
        };
        self.may_delete_all(desk);
        let restore = HistoryCommand::Restore { version, of: None };
        self.begin(&desk.name, Command::History(desk.words, of, restore), Intent::Other("versions restored"));
    }
}
