//! Draws one element: shapes, texts, images, and charts by `charts`.

use fourword_protocol::command::ElementView;
use fourword_protocol::schema::field::Number;

use super::sheet::{Attributes, NONE, Sheet};
use super::{Area, REACH, charts, degrees, within};

/// What texts are drawn in where nobody set it.
const FONT_SIZE: f64 = 16.0;
const FONT_SIZE_MIN: f64 = 1.0;
const FONT_SIZE_MAX: f64 = 1000.0;

/// From line to line, and how wide a letter is about, both by the size of the font.
const LINE_HEIGHT: f64 = 1.25;
const LETTER_WIDTH: f64 = 0.52;

/// Lines of one text.
const LINES_MAX: usize = 1000;

const STROKE_WIDTH: f64 = 1.0;
const STROKE_WIDTH_MAX: f64 = 1000.0;

/// Draws an element, turned as it is. False if its kind is not known here.
pub(super) fn draw(sheet: &mut Sheet, element: &ElementView) -> bool {
    let area = Area::of(element);
    let group = Attributes::default().text("id", &format!("e-{}", element.id));
    sheet.open("g", &group.turned(degrees(element), area.middle()));
    match element.element_type.as_str() {
        "shape" => shape(sheet, element, area),
        "text" => text(sheet, element, area),
        "image" => image(sheet, element, area),
        "chart" => charts::draw(sheet, element, area),
        _ => return false,
    }
    sheet.close("g");
    true
}

/// Fill and stroke as the element says, else these.
pub(super) fn style(element: &ElementView, fill: &'static str, stroke: &'static str) -> Attributes {
    let width = element.stroke_width.map_or(STROKE_WIDTH, Number::get);
    Attributes::default()
        .color("fill", &element.fill, fill)
        .color("stroke", &element.stroke, stroke)
        .number("stroke-width", within(width, STROKE_WIDTH_MAX).max(0.0))
}

pub(super) fn rectangle(area: Area) -> impl Fn(Attributes) -> Attributes {
    move |attributes| {
        attributes
            .number("x", area.x)
            .number("y", area.y)
            .number("width", area.width)
            .number("height", area.height)
    }
}

fn shape(sheet: &mut Sheet, element: &ElementView, area: Area) {
    match element.shape.as_str() {
        "ellipse" => {
            let (x, y) = area.middle();
            let ellipse = style(element, NONE, "black").number("cx", x).number("cy", y);
            let ellipse = ellipse.number("rx", area.width / 2.0).number("ry", area.height / 2.0);
            sheet.put("ellipse", &ellipse);
        }
        "line" | "path" => {
            // What has no corners goes from one end of its area to the other.
            let ends = [(area.x, area.y), (area.x + area.width, area.y + area.height)];
            let corners = corners(element, area);
            let points = if corners.len() < 2 { ends.to_vec() } else { corners };
            // A line encloses nothing.
            let line = if element.shape == "line" {
                style(&ElementView { fill: NONE.to_owned(), ..element.clone() }, NONE, "black")
            } else {
                style(element, NONE, "black")
            };
            sheet.put("polyline", &line.points("points", points.into_iter()));
        }
        // Words of later software are shapes too.
        _ => drop(sheet.put("rect", &rectangle(area)(style(element, NONE, "black")))),
    }
}

/// The corners of a line, which are told from where it is placed.
fn corners(element: &ElementView, area: Area) -> Vec<(f64, f64)> {
    let pairs = element.points.chunks_exact(2).filter_map(|pair| match pair {
        [x, y] => Some((area.x + within(x.get(), REACH), area.y + within(y.get(), REACH))),
        _ => None,
    });
    pairs.collect()
}

fn text(sheet: &mut Sheet, element: &ElementView, area: Area) {
    let size = element.font_size.map_or(FONT_SIZE, Number::get);
    let size = within(size, FONT_SIZE_MAX).max(FONT_SIZE_MIN);
    let attributes = Attributes::default().color("fill", &element.fill, "black").number("font-size", size);
    sheet.open("text", &attributes);
    for (index, line) in lines(&element.text, area.width, size).into_iter().enumerate() {
        let down = size * (1.0 + LINE_HEIGHT * f64::from(u32::try_from(index).unwrap_or(u32::MAX)));
        let line_at = Attributes::default().number("x", area.x).number("y", area.y + down);
        sheet.open("tspan", &line_at).text(&line).close("tspan");
    }
    sheet.close("text");
}

/// A text in lines that fit the width, as far as can be told without its font. A word that is
/// longer than a line has one of its own.
fn lines(text: &str, width: f64, size: f64) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let letters = u32::try_from(line.chars().count() + word.chars().count()).unwrap_or(u32::MAX);
            let is_full = f64::from(letters.saturating_add(1)) * size * LETTER_WIDTH > width;
            if !line.is_empty() && is_full && width > 0.0 {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
        if lines.len() >= LINES_MAX {
            break;
        }
    }
    lines.truncate(LINES_MAX);
    lines
}

/// Where an image lies. Its bytes are a file of the shared disk, of which a picture of its own
/// makes no part.
fn image(sheet: &mut Sheet, element: &ElementView, area: Area) {
    sheet.put("rect", &rectangle(area)(style(element, "#eeeeee", "#999999").text("stroke-dasharray", "6 4")));
    let (right, bottom) = (area.x + area.width, area.y + area.height);
    let cross = Attributes::default().text("stroke", "#bbbbbb").text("fill", NONE);
    sheet.put("polyline", &cross.clone().points("points", [(area.x, area.y), (right, bottom)].into_iter()));
    sheet.put("polyline", &cross.points("points", [(area.x, bottom), (right, area.y)].into_iter()));
}
