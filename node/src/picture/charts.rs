//! Draws charts: bars, lines and pies of the values of an element.

use std::f64::consts::TAU;

use fourword_protocol::command::ElementView;

use super::Area;
use super::shapes::{rectangle, style};
use super::sheet::{Attributes, NONE, Sheet};

/// The colours of the pieces of a pie, in turn.
const COLORS: [&str; 8] =
    ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1", "#9c755f"];

/// How much of its room a bar takes.
const BAR: f64 = 0.8;

/// How long one step of an arc may be: a full circle takes so many.
const STEPS: f64 = 72.0;

/// Draws the chart that an element shows, in its area.
pub(super) fn draw(sheet: &mut Sheet, element: &ElementView, area: Area) {
    let values = shares(element);
    match element.chart.as_str() {
        "line" => line(sheet, element, area, &values),
        "pie" => pie(sheet, element, area, &values),
        _ => bars(sheet, element, area, &values),
    }
    sheet.put("rect", &rectangle(area)(Attributes::default().text("fill", NONE).text("stroke", "#cccccc")));
}

/// The values by the greatest among them: none is beyond one, whatever they are.
fn shares(element: &ElementView) -> Vec<f64> {
    let most = element.values.iter().map(|value| value.get().abs()).fold(0.0, f64::max);
    let share = |value: f64| if most > 0.0 { value / most } else { 0.0 };
    element.values.iter().map(|value| share(value.get())).collect()
}

/// Where the zero of a chart lies, and how much of its height one is.
fn scale(area: Area, values: &[f64]) -> (f64, f64) {
    let (least, most) =
        values.iter().fold((0.0_f64, 0.0_f64), |(least, most), value| (least.min(*value), most.max(*value)));
    let one = area.height / (most - least).max(f64::MIN_POSITIVE).max(1e-9);
    (area.y + most * one, one)
}

fn count(values: &[f64]) -> f64 {
    f64::from(u32::try_from(values.len().max(1)).unwrap_or(u32::MAX))
}

fn bars(sheet: &mut Sheet, element: &ElementView, area: Area, values: &[f64]) {
    let (zero, one) = scale(area, values);
    let room = area.width / count(values);
    let mut x = area.x + room * (1.0 - BAR) / 2.0;
    for value in values {
        let (top, height) = (zero - value.max(0.0) * one, value.abs() * one);
        let bar = Area { x, y: top, width: room * BAR, height };
        sheet.put("rect", &rectangle(bar)(style(element, "#4e79a7", NONE)));
        x += room;
    }
}

fn line(sheet: &mut Sheet, element: &ElementView, area: Area, values: &[f64]) {
    let (zero, one) = scale(area, values);
    let step = area.width / (count(values) - 1.0).max(1.0);
    let mut x = area.x - step;
    let points = values.iter().map(|value| {
        x += step;
        (x, zero - value * one)
    });
    let line = ElementView { fill: NONE.to_owned(), ..element.clone() };
    sheet.put("polyline", &style(&line, NONE, "#4e79a7").points("points", points));
}

/// What is negative has no piece of a pie.
fn pie(sheet: &mut Sheet, element: &ElementView, area: Area, values: &[f64]) {
    let sum: f64 = values.iter().map(|value| value.max(0.0)).sum();
    let (middle, radius) = (area.middle(), area.width.min(area.height) / 2.0);
    let mut from = -TAU / 4.0;
    for (value, color) in values.iter().zip(COLORS.iter().cycle()).filter(|(value, _)| **value > 0.0) {
        let turn = TAU * value / sum;
        let piece = Attributes::default().text("fill", color).color("stroke", &element.stroke, "white");
        sheet.put("polygon", &piece.points("points", slice(middle, radius, from, turn).into_iter()));
        from += turn;
    }
}

/// The corners of a piece that begins at an angle and goes on for a turn.
fn slice((x, y): (f64, f64), radius: f64, from: f64, turn: f64) -> Vec<(f64, f64)> {
    let at = |angle: f64| (x + radius * angle.cos(), y + radius * angle.sin());
    let step = TAU / STEPS;
    let mut corners = vec![(x, y), at(from)];
    let mut gone = step;
    while gone < turn {
        corners.push(at(from + gone));
        gone += step;
    }
    corners.push(at(from + turn));
    corners
}
