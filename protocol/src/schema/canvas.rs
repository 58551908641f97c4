//! A drawing surface: elements with a place, a size, an order and a style.
//!
//! Where an element lies and how large it is are two values each, set together or not at all, so
//! that of two who move one at once one wins whole. Anybody who may draw may erase.

use super::field::{Field, Holds};
use super::thing::ThingKind;
use super::things::{Layout, Table, Thing};
use crate::roster::Role;

/// The elements.
pub const ELEMENTS: &Table = &Table {
    root: "elements",
    kind: ThingKind::Element,
    fields: &[
        "element_type",
        "place",
        "size",
        "rotation",
        "z_index",
        "text",
        "shape",
        "points",
        "image",
        "chart",
        "values",
        "fill",
        "stroke",
        "stroke_width",
        "font_size",
    ],
    required: &["element_type", "place", "size"],
};

/// What an element can be.
pub const TYPES: &[&str] = &["text", "image", "chart", "shape"];

/// The shapes.
pub const SHAPES: &[&str] = &["rectangle", "ellipse", "line", "path"];

/// The charts.
pub const CHARTS: &[&str] = &["bars", "line", "pie"];

const FIELDS: &[Field] = &[
    Field::one("element_type", Holds::Word(TYPES)),
    Field::one("place", Holds::Pair),
    Field::one("size", Holds::Pair),
    Field::one("rotation", Holds::Number),
    Field::one("z_index", Holds::Whole),
    Field::one("text", Holds::Text),
    Field::one("shape", Holds::Word(SHAPES)),
    Field::one("points", Holds::Numbers),
    Field::one("image", Holds::Blob),
    Field::one("chart", Holds::Word(CHARTS)),
    Field::one("values", Holds::Numbers),
    Field::one("fill", Holds::Line),
    Field::one("stroke", Holds::Line),
    Field::one("stroke_width", Holds::Number),
    Field::one("font_size", Holds::Number),
];

/// What a canvas holds.
pub const LAYOUT: &Layout = &Layout {
    roots: &["elements", "fields", "deleted", "metadata"],
    tables: &[ELEMENTS],
    fields: FIELDS,
    metadata: &[
        Field::one("width", Holds::Number),
        Field::one("height", Holds::Number),
        Field::one("background_color", Holds::Line),
    ],
    deletes: Role::Member,
};

/// Elements in the order in which they are drawn: of two of one order the lesser name lies below.
pub fn in_order(mut elements: Vec<Thing>) -> Vec<Thing> {
    elements.sort_by_key(|element| (z_index(element), element.id));
    elements
}

/// Where in the order an element is.
pub fn z_index(element: &Thing) -> i64 {
    match element.value("z_index") {
        Some(super::field::Value::Whole(order)) => *order,
        _ => 0,
    }
}
