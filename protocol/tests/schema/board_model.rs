//! Three replicas of one board, over real documents: they act apart and agree in the end.
//!
//! Each writes its own log and takes those of the others in pieces, late, and only within its half
//! while the three are parted. What must be so in the end is kept beside them the plainest way.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::roster::Role;
use fourword_protocol::schema::field::Value;
use fourword_protocol::schema::kanban::{Board, CARDS, COLUMNS, LAYOUT, Spot};
use fourword_protocol::schema::rights::{Actor, PutRef, judge};
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::schema::things::{Set, Table, ThingIndex, Things};
use fourword_protocol::schema::{Concern, Put};
use fourword_protocol::time::WallTime;
use fourword_protocol::update::Shape;
use fourword_protocol::update::document::{Changes, Document, Value as Held};
use fourword_protocol::update::parse::{Content, parse};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::maps::{actor, part, shown, text};

const REPLICAS: usize = 3;
const SEEDS: u64 = 60;
const ACTS: usize = 120;

/// One replica: its content, the index over that, and how much it has of each log.
struct Replica {
    document: Document,
    index: ThingIndex,
    held: [usize; REPLICAS],
    who: Actor,
}

/// All replicas, what they wrote, and what follows from it whatever the order.
struct World {
    random: ChaCha8Rng,
    replicas: Vec<Replica>,
    logs: [Vec<Vec<u8>>; REPLICAS],
    made: BTreeMap<ThingId, &'static Table>,
    deleted: BTreeSet<ThingId>,
    /// Of each field of a thing: who ever set it, and what was set last by whoever did so.
    titles: BTreeMap<ThingId, (BTreeSet<usize>, String)>,
    labels: BTreeMap<(ThingId, String), (BTreeSet<usize>, bool)>,
    said: BTreeMap<ThingId, String>,
}

/// What is drawn for one act.
struct Drawn {
    random: u64,
    time: WallTime,
    title: String,
}

impl Drawn {
    fn name(&self) -> [u8; 8] {
        self.random.to_be_bytes()
    }
}

impl Replica {
    fn things(&self) -> Things<'_> {
        Things::new(&Concern::Kanban, &self.document, &self.index).unwrap()
    }

    fn note(&mut self, changes: &Changes) {
        for change in &changes.keys {
            let value = change.after.as_ref().and_then(Held::as_bytes);
            self.index.note(LAYOUT, change.root, &change.key, value);
        }
    }
}

impl World {
    fn new(seed: u64) -> World {
        let roles = [Role::Member, Role::Member, Role::Admin];
        let replicas = (0..REPLICAS).map(|at| {
            let mut document = Document::new("board", LAYOUT.roots, Shape::Maps);
            document.begin_log(100 + at as u64).unwrap();
            let who = actor(at as u8 + 1, roles[at]);
            Replica { document, index: ThingIndex::default(), held: [0; REPLICAS], who }
        });
        World {
            random: ChaCha8Rng::seed_from_u64(seed),
            replicas: replicas.collect(),
            logs: Default::default(),
            made: BTreeMap::new(),
            deleted: BTreeSet::new(),
            titles: BTreeMap::new(),
            labels: BTreeMap::new(),
            said: BTreeMap::new(),
        }
    }

    /// Writes at one replica what an operation gave, in one edit, as a node does.
    fn write(&mut self, at: usize, puts: Vec<Put>) {
        if puts.is_empty() {
            return;
        }
        let replica = &mut self.replicas[at];
        let edit = replica.document.edit(&puts).unwrap();
        replica.note(&edit.changes);
        replica.held[at] += 1;
        self.logs[at].push(edit.update);
    }

    /// Takes in the next that one replica lacks of another's log, if what it builds on is there.
    fn deliver(&mut self, to: usize, from: usize) {
        let replica = &mut self.replicas[to];
        let Some(update) = self.logs[from].get(replica.held[from]) else { return };
        let Ok(parsed) = parse(update, &replica.document.expect(100 + from as u64)) else { return };
        let author = actor(from as u8 + 1, [Role::Member, Role::Member, Role::Admin][from]);
        for write in &parsed.writes {
            let value = match write.content {
                Content::Bytes(bytes) => Some(bytes),
                _ => None,
            };
            let put = PutRef { root: write.place.root, key: &write.place.key, value };
            assert_eq!(judge(&Concern::Kanban, &put, &author), Ok(()), "what is offered is never refused");
        }
        let changes = replica.document.apply(&parsed).unwrap();
        replica.note(&changes);
        replica.held[from] += 1;
    }

    fn settle(&mut self) {
        let lengths: Vec<usize> = self.logs.iter().map(Vec::len).collect();
        while self.replicas.iter().any(|replica| replica.held != *lengths.as_slice()) {
            let (to, from) = (self.random.random_range(0..REPLICAS), self.random.random_range(0..REPLICAS));
            self.deliver(to, from);
        }
    }

    /// Anything at all, at random.
    fn act(&mut self, at: usize) {
        let replica = &self.replicas[at];
        let columns: Vec<ThingId> =
            Board(replica.things()).columns().iter().map(|column| column.column.id).collect();
        let cards: Vec<ThingId> = replica.things().all(CARDS.root).map(|card| card.id).collect();
        let (random, time) = (self.random.random(), WallTime(self.random.random_range(1..50)));
        let mut pick = |of: &[ThingId]| (!of.is_empty()).then(|| of[self.random.random_range(0..of.len())]);
        let (column, card, other) = (pick(&columns), pick(&cards), pick(&cards));
        let drawn = Drawn { random, time, title: format!("t{}", random % 1000) };
        let puts = match (random % 16, column, card) {
            (0, ..) | (_, None, _) => self.make_column(at, drawn),
            (1..5, Some(column), _) | (_, Some(column), None) => self.make_card(at, column, drawn),
            (5..8, Some(column), Some(card)) => self.move_card(at, (card, other), column, &drawn),
            (8..12, _, Some(card)) => self.set_field(at, card, drawn),
            (12 | 13, _, Some(card)) => self.comment(at, card, drawn),
            (14, Some(column), _) => self.delete(at, column, COLUMNS, &drawn),
            (_, _, Some(card)) => {
                let edits = self.edit_comment(at, card, &drawn);
                if edits.is_empty() { self.delete(at, card, CARDS, &drawn) } else { edits }
            }
        };
        self.write(at, puts);
    }

    fn make_column(&mut self, at: usize, drawn: Drawn) -> Vec<Put> {
        let Replica { who, .. } = &self.replicas[at];
        let things = self.replicas[at].things();
        let placed = Board(things).order(Spot::First, None, drawn.random).unwrap();
        let sets = vec![text("title", &drawn.title), placed.set];
        let (id, put) = things.make(who, drawn.name(), COLUMNS, sets, drawn.time).unwrap();
        self.made.insert(id, COLUMNS);
        vec![put]
    }

    fn make_card(&mut self, at: usize, column: ThingId, drawn: Drawn) -> Vec<Put> {
        let Replica { who, .. } = &self.replicas[at];
        let things = self.replicas[at].things();
        let placed = Board(things).pos(column, Spot::Last, None, true, drawn.random).unwrap();
        let sets = vec![text("title", &drawn.title), placed.set];
        let (id, put) = things.make(who, drawn.name(), CARDS, sets, drawn.time).unwrap();
        self.made.insert(id, CARDS);
        self.titles.insert(id, (BTreeSet::new(), drawn.title));
        vec![put]
    }

    fn move_card(
        &mut self,
        at: usize,
        (card, other): (ThingId, Option<ThingId>),
        column: ThingId,
        drawn: &Drawn,
    ) -> Vec<Put> {
        let Replica { who, .. } = &self.replicas[at];
        let things = self.replicas[at].things();
        let board = Board(things);
        let stands_there = |other: &ThingId| {
            *other != card && board.column_of(&things.thing("cards", *other).unwrap()) == Some(column)
        };
        let spot = other.filter(stands_there).map_or(Spot::First, Spot::Before);
        let placed = board.pos(column, spot, Some(card), true, drawn.random).unwrap();
        let sets = [(card, placed.set)].into_iter().chain(placed.others);
        sets.flat_map(|(id, set)| things.set(who, id, CARDS, vec![set], drawn.time).unwrap()).collect()
    }

    fn set_field(&mut self, at: usize, card: ThingId, drawn: Drawn) -> Vec<Put> {
        let Replica { who, .. } = &self.replicas[at];
        let things = self.replicas[at].things();
        let (label, on) = (format!("l{}", drawn.random % 3), !drawn.random.is_multiple_of(5));
        if drawn.random % 16 < 10 {
            let (by, last) = self.titles.get_mut(&card).unwrap();
            by.insert(at);
            last.clone_from(&drawn.title);
            return things.set(who, card, CARDS, vec![text("title", &drawn.title)], drawn.time).unwrap();
        }
        let (by, last) = self.labels.entry((card, label.clone())).or_default();
        by.insert(at);
        *last = on;
        things.set(who, card, CARDS, vec![part("labels", &label, on)], drawn.time).unwrap()
    }

    fn comment(&mut self, at: usize, card: ThingId, drawn: Drawn) -> Vec<Put> {
        let Replica { who, .. } = &self.replicas[at];
        let said = self.replicas[at].things().say(who, drawn.name(), (card, CARDS), &drawn.title, drawn.time);
        let (id, put) = said.unwrap();
        self.said.insert(id, drawn.title);
        vec![put]
    }

    fn edit_comment(&mut self, at: usize, card: ThingId, drawn: &Drawn) -> Vec<Put> {
        let Replica { who, .. } = &self.replicas[at];
        let things = self.replicas[at].things();
        let Some(said) = things.comments(card).find(|comment| comment.id.owner == who.owner()) else {
            return Vec::new();
        };
        let put = things.edit_comment(who, said.id, &drawn.title, drawn.time).unwrap();
        self.said.insert(said.id, drawn.title.clone());
        put.into_iter().collect()
    }

    /// Deletes what may be deleted: members their own alone.
    fn delete(&mut self, at: usize, id: ThingId, table: &'static Table, drawn: &Drawn) -> Vec<Put> {
        let Replica { who, .. } = &self.replicas[at];
        let put = self.replicas[at].things().delete(who, id, table, drawn.time).ok();
        self.deleted.extend(put.iter().map(|_| id));
        put.into_iter().collect()
    }

    /// What every replica must show now, whoever did what in which order.
    fn check(&self) {
        let digests: BTreeSet<_> = self.replicas.iter().map(|r| r.document.content_digest().0).collect();
        assert_eq!(digests.len(), 1, "all hold the same content");
        let all: BTreeSet<ThingId> = self.made.keys().copied().collect();
        let living = |table: &Table| {
            let of_table = all.iter().filter(|id| self.made[id].root == table.root);
            of_table.filter(|id| !self.deleted.contains(id)).copied().collect::<BTreeSet<_>>()
        };
        let mut boards = BTreeSet::new();
        for replica in &self.replicas {
            assert_eq!(replica.index, ThingIndex::scan(LAYOUT, &replica.document));
            let things = replica.things();
            let columns = Board(things).columns();
            boards.insert(format!("{:?}", shown(Board(things))));
            let in_order: Vec<ThingId> = columns.iter().map(|column| column.column.id).collect();
            assert_eq!(in_order.iter().copied().collect::<BTreeSet<_>>(), living(COLUMNS));
            assert_eq!(in_order.len(), living(COLUMNS).len(), "no column stands twice");
            let cards: Vec<ThingId> =
                columns.iter().flat_map(|column| column.cards.iter().map(|card| card.id)).collect();
            if columns.is_empty() {
                continue;
            }
            assert_eq!(cards.len(), living(CARDS).len(), "no card stands twice");
            assert_eq!(cards.into_iter().collect::<BTreeSet<_>>(), living(CARDS), "none is lost or back");
            self.check_fields(&things, &living(CARDS));
        }
        assert_eq!(boards.len(), 1, "all show the same board");
    }

    /// A field that one alone ever set holds what it set last; a comment what its author wrote last.
    fn check_fields(&self, things: &Things<'_>, living: &BTreeSet<ThingId>) {
        for card in living.iter().map(|id| things.thing("cards", *id).unwrap()) {
            let (by, last) = &self.titles[&card.id];
            assert!(by.len() > 1 || card.text("title") == last, "{card:?}");
        }
        for ((card, label), (by, last)) in self.labels.iter().filter(|((card, _), _)| living.contains(card)) {
            let shown = things.thing("cards", *card).unwrap().on("labels").any(|on| on == label);
            assert!(by.len() > 1 || shown == *last, "{label} of {}", card.short());
        }
        for (id, said) in &self.said {
            assert_eq!(&things.comment(*id).unwrap().text, said);
        }
    }
}

#[test]
fn three_who_act_apart_agree_on_one_board_that_lost_and_doubled_nothing() {
    let (mut cards, mut deleted, mut columns) = (0, 0, 0);
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        let mut parted = [0; REPLICAS];
        for turn in 0..ACTS {
            if turn % 20 == 0 {
                // Each is on one side or the other: all three together, or one alone.
                parted = [0, 1, 2].map(|_| world.random.random_range(0..2));
            }
            let at = world.random.random_range(0..REPLICAS);
            world.act(at);
            for _ in 0..3 {
                let (to, from) =
                    (world.random.random_range(0..REPLICAS), world.random.random_range(0..REPLICAS));
                if parted[to] == parted[from] {
                    world.deliver(to, from);
                }
            }
        }
        world.settle();
        world.check();
        cards += world.made.values().filter(|table| table.root == "cards").count();
        columns += world.made.len();
        deleted += world.deleted.len();
    }
    assert!(cards > 1000 && deleted > 200 && columns > cards, "{cards} cards, {deleted} deleted");
}

#[test]
fn of_two_who_change_two_fields_at_once_both_keep_their_change() {
    let mut world = World::new(1);
    while world.titles.is_empty() {
        world.act(0);
    }
    world.settle();
    let card = *world.titles.keys().next().unwrap();
    let set = |world: &World, at: usize, set: Set| {
        let replica = &world.replicas[at];
        replica.things().set(&replica.who, card, CARDS, vec![set], WallTime(9)).unwrap()
    };
    let (title, priority) = (set(&world, 0, text("title", "new")), set(&world, 1, text("priority", "high")));
    let due = Set { field: "due".into(), part: None, value: Some(Value::Text("2026-11-30".into())) };
    let due = set(&world, 2, due);
    for (at, puts) in [(0, title), (1, priority), (2, due)] {
        world.write(at, puts);
    }
    world.settle();
    for replica in &world.replicas {
        let card = replica.things().thing("cards", card).unwrap();
        assert_eq!(
            (card.text("title"), card.text("priority"), card.text("due")),
            ("new", "high", "2026-11-30")
        );
    }
}
