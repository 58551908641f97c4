//! Canvases between nodes: drawn on by several at once.

use fourword_protocol::command::{
    CanvasCommand, CanvasView, Change, Command, ElementView, Kind, Notice, Outcome, Reply,
};
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::field::{Number, Value};
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

fn ask(c: &mut Cluster, by: &str, group: FourWords, command: CanvasCommand) -> Outcome {
    c.ask(by, Command::Canvas(group, command))
}

fn must(c: &mut Cluster, by: &str, group: FourWords, command: CanvasCommand) {
    assert_eq!(ask(c, by, group, command), Outcome::Done(Reply::Ok));
}

fn number(number: f64) -> Number {
    Number::new(number).unwrap()
}

fn field(name: &str, value: Value) -> Change {
    Change::Field(name.into(), value)
}

fn place(across: f64, down: f64) -> Change {
    field("place", Value::Pair(number(across), number(down)))
}

fn draw(c: &mut Cluster, by: &str, group: FourWords, text: &str) -> ThingId {
    let changes = vec![
        field("element_type", Value::Text("text".into())),
        field("text", Value::Text(text.into())),
        field("size", Value::Pair(number(10.0), number(5.0))),
        place(0.0, 0.0),
    ];
    match ask(c, by, group, CanvasCommand::Add(changes)) {
        Outcome::Done(Reply::Thing(id)) => id,
        other => panic!("{other:?}"),
    }
}

fn canvas(c: &mut Cluster, at: &str, group: FourWords) -> CanvasView {
    match ask(c, at, group, CanvasCommand::Show) {
        Outcome::Done(Reply::Canvas(canvas)) => canvas,
        other => panic!("{other:?}"),
    }
}

fn element(c: &mut Cluster, at: &str, group: FourWords, id: ThingId) -> ElementView {
    canvas(c, at, group).elements.into_iter().find(|element| element.id == id).unwrap()
}

#[test]
fn what_two_draw_at_once_is_all_there_and_lies_in_one_order() {
    let mut c = Cluster::new(1);
    let group = c.group_of(&["ada", "ben"]);
    let low = draw(&mut c, "ada", group, "low");
    c.settle();
    c.isolate("ben");
    let high = draw(&mut c, "ada", group, "high");
    must(&mut c, "ada", group, CanvasCommand::Set(high.short(), vec![field("z_index", Value::Whole(5))]));
    let middle = draw(&mut c, "ben", group, "middle");
    must(&mut c, "ben", group, CanvasCommand::Set(middle.short(), vec![field("z_index", Value::Whole(3))]));
    c.heal();
    c.settle();
    for at in ["ada", "ben"] {
        let order: Vec<ThingId> = canvas(&mut c, at, group).elements.iter().map(|e| e.id).collect();
        assert_eq!(order, [low, middle, high], "{at}");
    }
}

#[test]
fn of_two_who_move_one_element_at_once_one_wins_whole_and_its_size_is_another_matter() {
    let mut c = Cluster::new(2);
    let group = c.group_of(&["ada", "ben"]);
    let note = draw(&mut c, "ada", group, "note");
    c.settle();
    c.isolate("ben");
    must(&mut c, "ada", group, CanvasCommand::Set(note.short(), vec![place(1.0, 1.0)]));
    let larger = field("size", Value::Pair(number(20.0), number(20.0)));
    must(&mut c, "ben", group, CanvasCommand::Set(note.short(), vec![place(2.0, 2.0), larger]));
    c.heal();
    c.settle();
    let shown = element(&mut c, "ada", group, note);
    assert!(shown.place == (number(1.0), number(1.0)) || shown.place == (number(2.0), number(2.0)));
    assert_eq!(shown.size, (number(20.0), number(20.0)));
    assert_eq!(element(&mut c, "ben", group, note), shown);
}

#[test]
fn anybody_erases_and_what_is_erased_stays_so_whoever_moves_it_meanwhile() {
    let mut c = Cluster::new(3);
    let group = c.group_of(&["ada", "ben"]);
    let note = draw(&mut c, "ada", group, "note");
    c.settle();
    c.isolate("ben");
    must(&mut c, "ben", group, CanvasCommand::Delete(note.short()));
    must(&mut c, "ada", group, CanvasCommand::Set(note.short(), vec![place(7.0, 7.0)]));
    c.heal();
    c.settle();
    for at in ["ada", "ben"] {
        assert!(canvas(&mut c, at, group).elements.is_empty(), "{at}");
    }
}

#[test]
fn a_channel_has_a_canvas_with_a_size_of_its_own() {
    let mut c = Cluster::new(4);
    let group = c.group_of(&["ada", "ben"]);
    let channel = c.create_child("ada", Kind::Channel, "sketches", group);
    c.settle();
    let before = c.notices("ben").len();
    let width = Value::Number(number(1920.0));
    must(&mut c, "ada", channel, CanvasCommand::Metadata("width".into(), Some(width)));
    must(
        &mut c,
        "ada",
        channel,
        CanvasCommand::Metadata("background_color".into(), Some(Value::Text("#fff".into()))),
    );
    c.settle();
    let shown = canvas(&mut c, "ben", channel);
    assert_eq!((shown.width, shown.background_color.as_str()), (Some(number(1920.0)), "#fff"));
    assert_eq!(canvas(&mut c, "ben", group).width, None, "the group has another");
    let told = Notice::ThingsChanged { entity: channel, concern: Concern::Canvas, things: Vec::new() };
    assert!(c.notices("ben")[before..].contains(&told));
}
