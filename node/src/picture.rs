//! Draws canvases: as SVG, and that as PNG.
//!
//! The API gives both to whoever asks. Invariants: whatever a canvas holds becomes well-formed SVG
//! that refers to nothing outside of itself and runs nothing; every number in it is finite and within
//! bounds; and what a picture may cost is bounded. `sheet` writes the SVG, `shapes` and `charts` draw
//! the kinds of element, `paint` makes the PNG.

mod charts;
mod paint;
mod shapes;
mod sheet;
#[cfg(test)]
mod tests;

use fourword_protocol::command::{CanvasView, ElementView};
use fourword_protocol::schema::field::Number;

pub use paint::{Unpainted, png};

use sheet::Sheet;

/// How far from the origin anything is drawn, in the canvas's units.
const REACH: f64 = 1_000_000.0;

/// Units that a picture is wide and high, at the least and at the most.
const SIDE_MIN: f64 = 16.0;
const SIDE_MAX: f64 = 100_000.0;

/// Room around the elements of a canvas without a size of its own.
const MARGIN: f64 = 20.0;

/// Bytes of one picture: a full canvas takes about as many, as numbers and marks grow in text.
const SVG_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A canvas as SVG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The whole document.
    pub svg: String,
    /// Elements for which there was no room, or whose kind this software does not know.
    pub left_out: usize,
    /// How many were drawn.
    pub drawn: usize,
}

/// Where something lies, all finite.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Area {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl Area {
    fn of(element: &ElementView) -> Area {
        let (x, y) = (within(element.place.0.get(), REACH), within(element.place.1.get(), REACH));
        let side = |number: Number| within(number.get(), SIDE_MAX).max(0.0);
        Area { x, y, width: side(element.size.0), height: side(element.size.1) }
    }

    fn middle(self) -> (f64, f64) {
        (self.x + self.width / 2.0, self.y + self.height / 2.0)
    }

    /// The corners that the picture must show, wherever the element is turned.
    fn reach(self, degrees: f64) -> (f64, f64, f64, f64) {
        let (x, y) = self.middle();
        let (sine, cosine) = degrees.to_radians().sin_cos();
        let across = (self.width * cosine).abs() + (self.height * sine).abs();
        let down = (self.width * sine).abs() + (self.height * cosine).abs();
        (x - across / 2.0, y - down / 2.0, x + across / 2.0, y + down / 2.0)
    }
}

/// Draws a canvas. The lowest element comes first, so that higher ones cover it.
pub fn svg(canvas: &CanvasView) -> Picture {
    let frame = frame(canvas);
    let mut sheet = Sheet::begin(frame, &canvas.background_color);
    let mut drawn = 0;
    for element in &canvas.elements {
        // What does not fit is left out whole.
        let begun = sheet.len();
        let is_known = shapes::draw(&mut sheet, element);
        match is_known && sheet.len() <= SVG_BYTES_MAX {
            true => drawn += 1,
            false => sheet.take_back(begun),
        }
    }
    Picture { svg: sheet.end(), left_out: canvas.elements.len().saturating_sub(drawn), drawn }
}

/// What the picture shows: the canvas by its own size, else all that is on it.
fn frame(canvas: &CanvasView) -> Area {
    let own = |side: Option<Number>| side.map(Number::get).filter(|side| *side > 0.0);
    let side = |side: f64| side.clamp(SIDE_MIN, SIDE_MAX);
    if let (Some(width), Some(height)) = (own(canvas.width), own(canvas.height)) {
        return Area { x: 0.0, y: 0.0, width: side(width), height: side(height) };
    }
    let reaches = canvas.elements.iter().map(|element| Area::of(element).reach(degrees(element)));
    let all = reaches.reduce(|a, b| (a.0.min(b.0), a.1.min(b.1), a.2.max(b.2), a.3.max(b.3)));
    let (left, top, right, bottom) = all.unwrap_or_default();
    let (width, height) = (right - left + 2.0 * MARGIN, bottom - top + 2.0 * MARGIN);
    Area { x: left - MARGIN, y: top - MARGIN, width: side(width), height: side(height) }
}

/// By how much an element is turned: within one full turn.
fn degrees(element: &ElementView) -> f64 {
    element.rotation.map_or(0.0, |rotation| rotation.get() % 360.0)
}

/// A number that is finite and no further from zero than this.
fn within(number: f64, most: f64) -> f64 {
    if number.is_finite() { number.clamp(-most, most) } else { 0.0 }
}
