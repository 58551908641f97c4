//! Canvases: what lies above what, and what the drawing itself says.

use fourword_protocol::schema::Concern;
use fourword_protocol::schema::canvas::{ELEMENTS, in_order, z_index};
use fourword_protocol::schema::field::{Number, Unfit, Value};
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::schema::things::{Set, ThingError};
use fourword_protocol::time::WallTime;

use crate::maps::{Desk, ada, ben, pair, text};

const LATER: WallTime = WallTime(900);

fn drawing() -> (Desk, [ThingId; 3]) {
    let mut desk = Desk::new(Concern::Canvas);
    let shape = || vec![text("element_type", "shape"), pair("place", 1.0, 2.0), pair("size", 3.0, 4.0)];
    let elements = [1, 2, 3].map(|random| desk.make(&ada(), random, ELEMENTS, shape()));
    (desk, elements)
}

fn order(desk: &Desk) -> Vec<ThingId> {
    in_order(desk.things().all("elements").collect()).iter().map(|element| element.id).collect()
}

#[test]
fn elements_lie_in_their_order_and_of_two_in_one_the_lesser_name_below() {
    let (mut desk, [a, b, c]) = drawing();
    assert_eq!(order(&desk), [a, b, c]);
    let z = |order| Set { field: "z_index".into(), part: None, value: Some(Value::Whole(order)) };
    desk.set(&ben(), a, ELEMENTS, vec![z(7)]);
    desk.set(&ben(), c, ELEMENTS, vec![z(-1)]);
    assert_eq!(order(&desk), [c, b, a]);
    assert_eq!(z_index(&desk.things().thing("elements", b).unwrap()), 0);
}

#[test]
fn a_place_is_two_numbers_that_change_together() {
    let (mut desk, [a, ..]) = drawing();
    desk.set(&ben(), a, ELEMENTS, vec![pair("place", -5.5, 8.0)]);
    let number = |number| Number::new(number).unwrap();
    let element = desk.things().thing("elements", a).unwrap();
    assert_eq!(element.value("place"), Some(&Value::Pair(number(-5.5), number(8.0))));
    assert_eq!(element.value("size"), Some(&Value::Pair(number(3.0), number(4.0))));
    let half = Set { field: "place".into(), part: None, value: Some(Value::Number(number(1.0))) };
    let refused = desk.things().set(&ben(), a, ELEMENTS, vec![half], LATER);
    assert!(matches!(refused, Err(ThingError::Unfit(_, Unfit::Kind(_)))));
}

#[test]
fn every_member_erases_what_anybody_drew() {
    let (mut desk, [a, b, c]) = drawing();
    desk.delete(&ben(), b, ELEMENTS);
    assert_eq!(order(&desk), [a, c]);
}

#[test]
fn the_canvas_itself_has_a_size_and_a_colour() {
    let (mut desk, _) = drawing();
    assert_eq!(desk.things().metadata("width"), None);
    let width = Value::Number(Number::new(1920.0).unwrap());
    for value in [width.clone(), Value::Number(Number::new(800.0).unwrap()), width.clone()] {
        let put = desk.things().set_metadata(&ben(), "width", Some(value), LATER).unwrap().unwrap();
        desk.apply(&put);
    }
    assert_eq!(desk.things().metadata("width"), Some(width.clone()));
    assert_eq!(
        desk.things().set_metadata(&ada(), "width", Some(width), LATER),
        Ok(None),
        "it has it already"
    );
    let refused = desk.things().set_metadata(&ada(), "depth", Some(Value::Whole(1)), LATER);
    assert_eq!(refused, Err(ThingError::NoField("document", "depth".into())));
    let refused = desk.things().set_metadata(&ada(), "width", Some(Value::Text("wide".into())), LATER);
    assert!(matches!(refused, Err(ThingError::Unfit(..))));
}

#[test]
fn what_is_not_set_any_more_is_as_if_it_had_never_been_set_and_what_every_element_has_stays() {
    let (mut desk, [a, ..]) = drawing();
    let turned = Value::Number(Number::new(45.0).unwrap());
    let rotation = |value| Set { field: "rotation".into(), part: None, value };
    let before = desk.things().thing("elements", a).unwrap();
    desk.set(&ben(), a, ELEMENTS, vec![rotation(Some(turned.clone()))]);
    assert_eq!(desk.things().thing("elements", a).unwrap().value("rotation"), Some(&turned));
    desk.set(&ada(), a, ELEMENTS, vec![rotation(None)]);
    let after = desk.things().thing("elements", a).unwrap();
    assert_eq!((after.value("rotation"), after.value("place")), (None, before.value("place")));
    let nothing = desk.things().set(&ada(), a, ELEMENTS, vec![rotation(None)], LATER);
    assert_eq!(nothing, Ok(Vec::new()), "it is so already");
    let place = Set { field: "place".into(), part: None, value: None };
    let refused = desk.things().set(&ada(), a, ELEMENTS, vec![place], LATER);
    assert_eq!(refused, Err(ThingError::Missing("element", "place")));
    let width = Some(Value::Number(Number::new(800.0).unwrap()));
    for value in [width, None] {
        let put = desk.things().set_metadata(&ben(), "width", value.clone(), LATER).unwrap().unwrap();
        desk.apply(&put);
        assert_eq!(desk.things().metadata("width"), value);
    }
    assert_eq!(desk.things().set_metadata(&ada(), "width", None, LATER), Ok(None), "it is so already");
}
