//! What people do on boards, in issue trackers and on canvases, in the profile in which they do.

use fourword_protocol::command::{
    At, BoardCommand, CanvasCommand, Change, Command, CommentCommand, IssueCommand,
};
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::field::{Number, Value};
use fourword_protocol::schema::issues::STATUSES;
use fourword_protocol::schema::kanban::PRIORITIES;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::words::FourWords;
use rand::Rng;

use super::schedule::Schedule;
use super::world::{Intent, What};
use crate::draw;

const LABELS: [&str; 3] = ["garden", "roof", "cellar"];
const DAYS: [&str; 3] = ["2026-11-30", "2027-01-01", ""];

/// Who works where.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    pub(super) name: String,
    pub(super) person: usize,
    pub(super) group: usize,
    pub(super) words: FourWords,
}

impl Schedule {
    /// Somebody makes, changes or deletes something somewhere.
    pub(super) fn work(&mut self) {
        let Some((name, person)) = self.someone() else { return };
        let Some(group) = self.group_for(person) else { return };
        let Some(words) = self.world.groups.get(group).map(|group| group.words) else { return };
        let desk = Desk { name, person, group, words };
        // A child has a canvas and neither board nor issues.
        let has_board = self.world.root_of(group) == group;
        match self.random.next_u64() % 18 {
            0..=9 if has_board => self.work_on_board(&desk),
            10..=12 if has_board => self.work_on_issues(&desk),
            13 => self.tend_group(&desk),
            14 => self.tend_chat(&desk),
            15 => self.bring_back(&desk),
            _ => self.draw_something(&desk),
        }
    }

    fn make(&mut self, desk: &Desk, what: What, command: Command, text: String) {
        self.begin(&desk.name, command, Intent::Make { group: desk.group, what, text });
    }

    fn change_thing(&mut self, desk: &Desk, command: Command) {
        self.begin(&desk.name, command, Intent::Other("things changed"));
    }

    fn erase(&mut self, desk: &Desk, thing: ThingId, command: Command) {
        self.world.doomed.entry(thing).or_default().insert(desk.person);
        self.begin(&desk.name, command, Intent::Delete { thing });
    }

    /// Takes back what was done on a device last, or does it again.
    fn take_back(&mut self, desk: &Desk, of: Concern) {
        // That may delete anything: what this device made, or deleted before.
        self.may_delete_all(desk);
        let command = match draw::once_in(&mut self.random, 3) {
            true => Command::Redo(desk.words, of),
            false => Command::Undo(desk.words, of),
        };
        self.begin(&desk.name, command, Intent::Other("steps taken back"));
    }

    /// Notes that somebody may have had deleted whatever is in a group.
    pub(super) fn may_delete_all(&mut self, desk: &Desk) {
        let there = self.world.saved.iter().filter(|(_, saved)| saved.group == desk.group);
        for thing in there.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.world.doomed.entry(thing).or_default().insert(desk.person);
        }
    }

    /// Something that was made there, in one case of three by oneself.
    fn pick(&mut self, desk: &Desk, what: What) -> Option<ThingId> {
        let own = draw::once_in(&mut self.random, 3).then_some(desk.person);
        self.saved_in(desk.group, what, own)
    }

    fn word(&mut self, words: &[&str]) -> String {
        draw::one_of(&mut self.random, words).copied().unwrap_or_default().to_owned()
    }

    fn title(&mut self, desk: &Desk) -> String {
        self.world.new_text(desk.person, desk.group, 0)
    }

    // -- boards -------------------------------------------------------------------------------

    fn work_on_board(&mut self, desk: &Desk) {
        let column = self.saved_in(desk.group, What::Column, None);
        let Some(column) = column.filter(|_| !draw::once_in(&mut self.random, 12)) else {
            let title = self.title(desk);
            let limit = if draw::once_in(&mut self.random, 3) { 4 } else { 0 };
            let command = BoardCommand::AddColumn { title: title.clone(), limit, at: At::Last };
            return self.make(desk, What::Column, Command::Board(desk.words, command), title);
        };
        match self.random.next_u64() % 20 {
            0 => {
                let delete = BoardCommand::DeleteColumn(column.to_string());
                self.erase(desk, column, Command::Board(desk.words, delete));
            }
            1 => {
                let change = Change::Field("title".into(), self.new_title(desk));
                self.change_board(desk, BoardCommand::SetColumn(column.to_string(), vec![change]));
            }
            2 => {
                let at = self.spot(desk, What::Column);
                self.change_board(desk, BoardCommand::MoveColumn(column.to_string(), at));
            }
            3..=4 => self.take_back(desk, Concern::Kanban),
            _ => self.work_on_card(desk, column.to_string()),
        }
    }

    fn work_on_card(&mut self, desk: &Desk, column: String) {
        let (at, over) = (self.spot(desk, What::Card), draw::once_in(&mut self.random, 2));
        let card = self.pick(desk, What::Card);
        let Some(card) = card.filter(|_| !draw::once_in(&mut self.random, 3)) else {
            let title = self.title(desk);
            let changes = vec![Change::Label(self.word(&LABELS), true)];
            let add = BoardCommand::AddCard { title: title.clone(), column, at, changes, over };
            return self.make(desk, What::Card, Command::Board(desk.words, add), title);
        };
        let named = card.to_string();
        match self.random.next_u64() % 12 {
            0..=4 => self.change_board(desk, BoardCommand::MoveCard { card: named, column, at, over }),
            5..=7 => {
                let changes = self.changes(desk);
                self.change_board(desk, BoardCommand::SetCard(named, changes));
            }
            8 => {
                let away = !draw::once_in(&mut self.random, 3);
                self.change_board(desk, BoardCommand::Archive(named, away));
            }
            9 => self.erase(desk, card, Command::Board(desk.words, BoardCommand::DeleteCard(named))),
            _ => {
                let words = desk.words;
                self.talk(desk, card, move |said| Command::Board(words, BoardCommand::Comment(said)));
            }
        }
    }

    /// Says something about a card or an issue, or changes or deletes what somebody said.
    fn talk(&mut self, desk: &Desk, about: ThingId, command: impl Fn(CommentCommand) -> Command) {
        let said = self.pick(desk, What::Comment(about));
        match (self.random.next_u64() % 6, said) {
            (0, Some(said)) => {
                let edit = CommentCommand::Edit { comment: said.to_string(), text: self.title(desk) };
                self.change_thing(desk, command(edit));
            }
            (1, Some(said)) => self.erase(desk, said, command(CommentCommand::Delete(said.to_string()))),
            _ => {
                let text = self.title(desk);
                let add = CommentCommand::Add { about: about.to_string(), text: text.clone() };
                self.make(desk, What::Comment(about), command(add), text);
            }
        }
    }

    fn change_board(&mut self, desk: &Desk, command: BoardCommand) {
        self.change_thing(desk, Command::Board(desk.words, command));
    }

    /// Where a column or a card is put among its like.
    fn spot(&mut self, desk: &Desk, what: What) -> At {
        let beside = self.saved_in(desk.group, what, None).map(|thing| thing.to_string());
        match (self.random.next_u64() % 4, beside) {
            (0, _) => At::First,
            (1, Some(thing)) => At::Before(thing),
            (2, Some(thing)) => At::After(thing),
            _ => At::Last,
        }
    }

    fn new_title(&mut self, desk: &Desk) -> Value {
        Value::Text(self.title(desk))
    }

    fn changes(&mut self, desk: &Desk) -> Vec<Change> {
        vec![match self.random.next_u64() % 6 {
            0 => Change::Field("title".into(), self.new_title(desk)),
            1 => Change::Field("priority".into(), Value::Text(self.word(PRIORITIES))),
            2 => Change::Label(self.word(&LABELS), draw::once_in(&mut self.random, 2)),
            3 => self.assignment(),
            4 => Change::Field("due".into(), Value::Text(self.word(&DAYS))),
            _ => Change::AddLine(self.word(&LABELS)),
        }]
    }

    /// Somebody is to do it, or no longer is.
    fn assignment(&mut self) -> Change {
        let people: Vec<String> = self.world.people.iter().map(|person| person.id.to_string()).collect();
        let who = draw::one_of(&mut self.random, &people).cloned().unwrap_or_default();
        Change::Assign(who, !draw::once_in(&mut self.random, 3))
    }

    // -- issues -------------------------------------------------------------------------------

    fn work_on_issues(&mut self, desk: &Desk) {
        let issue = self.pick(desk, What::Issue);
        let Some(issue) = issue.filter(|_| !draw::once_in(&mut self.random, 3)) else {
            let title = self.title(desk);
            let add = IssueCommand::Add { title: title.clone(), changes: Vec::new() };
            return self.make(desk, What::Issue, Command::Issue(desk.words, add), title);
        };
        let named = issue.to_string();
        let change = match self.random.next_u64() % 8 {
            0..=1 => Change::Field("status".into(), Value::Text(self.word(STATUSES))),
            2 => self.assignment(),
            3 => Change::Field("title".into(), self.new_title(desk)),
            4 => Change::Label(self.word(&LABELS), draw::once_in(&mut self.random, 2)),
            5 => {
                let words = desk.words;
                return self
                    .talk(desk, issue, move |said| Command::Issue(words, IssueCommand::Comment(said)));
            }
            6 => return self.erase(desk, issue, Command::Issue(desk.words, IssueCommand::Delete(named))),
            _ => return self.take_back(desk, Concern::Issues),
        };
        self.change_thing(desk, Command::Issue(desk.words, IssueCommand::Set(named, vec![change])));
    }

    // -- canvases -----------------------------------------------------------------------------

    fn draw_something(&mut self, desk: &Desk) {
        let element = self.pick(desk, What::Element);
        let Some(element) = element.filter(|_| !draw::once_in(&mut self.random, 3)) else {
            let text = self.title(desk);
            let fields = [
                ("element_type", Value::Text("text".into())),
                ("place", self.pair()),
                ("size", self.pair()),
                ("text", Value::Text(text.clone())),
            ];
            let changes = fields.map(|(field, value)| Change::Field(field.into(), value)).into();
            let command = Command::Canvas(desk.words, CanvasCommand::Add(changes));
            return self.make(desk, What::Element, command, text);
        };
        let named = element.to_string();
        let change = match self.random.next_u64() % 6 {
            0..=1 => Change::Field("place".into(), self.pair()),
            2 => Change::Field("z_index".into(), Value::Whole(i64::from(self.random.next_u32() % 9))),
            3 => Change::Field("text".into(), self.new_title(desk)),
            4 => return self.erase(desk, element, Command::Canvas(desk.words, CanvasCommand::Delete(named))),
            5 if draw::once_in(&mut self.random, 3) => {
                let ground =
                    CanvasCommand::Metadata("background_color".into(), Some(Value::Text("#fff".into())));
                return self.change_thing(desk, Command::Canvas(desk.words, ground));
            }
            _ => return self.take_back(desk, Concern::Canvas),
        };
        self.change_thing(desk, Command::Canvas(desk.words, CanvasCommand::Set(named, vec![change])));
    }

    fn pair(&mut self) -> Value {
        let mut number = || Number::new(f64::from(1 + self.random.next_u32() % 500));
        match (number(), number()) {
            (Some(across), Some(down)) => Value::Pair(across, down),
            _ => panic!("whole numbers are finite"),
        }
    }
}
