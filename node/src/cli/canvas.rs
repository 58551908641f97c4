//! `canvas`: shows a group's canvas, and draws, changes and erases its elements.

use std::fmt::Display;
use std::str::FromStr;

use clap::builder::PossibleValuesParser;
use fourword_protocol::schema::canvas::{CHARTS, SHAPES, TYPES};
use hyper::Method;

use super::Context;
use super::chat::{short, whole};
use super::client::path;
use super::failure::{Exit, Failure};
use super::output::plain;
use super::picture::{self, Export};
use super::thing::{self, Step};
use crate::api::canvases::{Canvas, CanvasPatch, Element, ElementPatch};

/// What can be done with a canvas.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Show the canvas and its elements, the lowest first.
    #[command(after_help = "Example:\n  fourword canvas show ocean-forest-moon-star")]
    Show {
        /// The group's four words.
        words: String,
    },
    /// Set the size and the ground of the canvas.
    #[command(
        after_help = "Examples:\n  fourword canvas set ocean-forest-moon-star --width 1920 --height 1080 --background \"#ffffff\"\n  fourword canvas set ocean-forest-moon-star --width none --height none"
    )]
    Set {
        /// The group's four words.
        words: String,
        /// How wide it is, or none.
        #[arg(long, value_parser = or_none::<f64>)]
        width: Option<OrNone<f64>>,
        /// How high it is, or none.
        #[arg(long, value_parser = or_none::<f64>)]
        height: Option<OrNone<f64>>,
        /// The colour of the ground.
        #[arg(long, value_name = "COLOUR")]
        background: Option<String>,
    },
    /// Draw, change and erase elements.
    #[command(subcommand)]
    Element(Box<ElementVerb>),
    /// Write the canvas into a file, as SVG or PNG.
    Export(Export),
    /// Take back what this device did last here, as far as nobody else has changed it since.
    #[command(after_help = "Example:\n  fourword canvas undo ocean-forest-moon-star")]
    Undo {
        /// The group's four words.
        words: String,
    },
    /// Do again what was taken back last.
    #[command(after_help = "Example:\n  fourword canvas redo ocean-forest-moon-star")]
    Redo {
        /// The group's four words.
        words: String,
    },
}

/// What can be done with elements. They are named by the first letters of their ids.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ElementVerb {
    /// Draw an element; its id is printed once it is saved.
    #[command(
        after_help = "Examples:\n  fourword canvas element add ocean-forest-moon-star --type text --place 40,40 --size 200,30 --text \"Kitchen\"\n  fourword canvas element add ocean-forest-moon-star --type shape --shape line --place 0,0 --size 9,9 --points 0,0,9,9\n  fourword canvas element add ocean-forest-moon-star --type chart --chart bars --place 0,99 --size 90,50 --values 3,1,2"
    )]
    Add {
        /// The group's four words.
        words: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Change an element. Each field merges on its own with what others change at the same time.
    #[command(
        after_help = "Examples:\n  fourword canvas element set ocean-forest-moon-star ID --place 60,40\n  fourword canvas element set ocean-forest-moon-star ID --fill \"#ffcc00\" --z-index 5\n  fourword canvas element set ocean-forest-moon-star ID --rotation none --fill \"\""
    )]
    Set {
        /// The group's four words.
        words: String,
        /// Which element.
        element: String,
        #[command(flatten)]
        fields: Fields,
        /// Only if the element still is as it was shown with this revision.
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<String>,
    },
    /// Erase an element for good.
    #[command(after_help = "Example:\n  fourword canvas element delete ocean-forest-moon-star ID")]
    Delete {
        /// The group's four words.
        words: String,
        /// Which element.
        element: String,
    },
}

/// The fields of an element. A new one needs type, place and size. What not every element has is taken
/// back by `none`, and texts and lists by an empty one.
#[derive(Debug, clap::Args)]
pub(super) struct Fields {
    /// What it is.
    #[arg(long = "type", value_parser = PossibleValuesParser::new(TYPES.iter().copied()))]
    element_type: Option<String>,
    /// How far across and down it lies.
    #[arg(long, value_name = "X,Y", value_parser = pair, allow_hyphen_values = true)]
    place: Option<[f64; 2]>,
    /// How wide and high it is.
    #[arg(long, value_name = "W,H", value_parser = pair)]
    size: Option<[f64; 2]>,
    /// By how many degrees it is turned, or none.
    #[arg(long, value_name = "DEGREES", value_parser = or_none::<f64>, allow_hyphen_values = true)]
    rotation: Option<OrNone<f64>>,
    /// What is higher covers what is lower; none is as 0.
    #[arg(long, value_name = "N", value_parser = or_none::<i64>, allow_hyphen_values = true)]
    z_index: Option<OrNone<i64>>,
    /// What is written in it, or - to read it from standard input.
    #[arg(long)]
    text: Option<String>,
    /// Which shape.
    #[arg(long, value_parser = PossibleValuesParser::new(SHAPES.iter().copied()))]
    shape: Option<String>,
    /// The corners of a line or path: across and down in turn.
    #[arg(long, value_name = "X,Y,...", value_parser = numbers, allow_hyphen_values = true)]
    points: Option<Numbers>,
    /// The hash that names the bytes of an image, or none.
    #[arg(long, value_name = "HASH", value_parser = or_none::<String>)]
    image: Option<OrNone<String>>,
    /// Which chart.
    #[arg(long, value_parser = PossibleValuesParser::new(CHARTS.iter().copied()))]
    chart: Option<String>,
    /// What the chart shows.
    #[arg(long, value_name = "N,...", value_parser = numbers, allow_hyphen_values = true)]
    values: Option<Numbers>,
    /// The colour inside.
    #[arg(long, value_name = "COLOUR")]
    fill: Option<String>,
    /// The colour of the stroke.
    #[arg(long, value_name = "COLOUR")]
    stroke: Option<String>,
    /// How wide the stroke is, or none.
    #[arg(long, value_name = "N", value_parser = or_none::<f64>)]
    stroke_width: Option<OrNone<f64>>,
    /// How large the text is, or none.
    #[arg(long, value_name = "N", value_parser = or_none::<f64>)]
    font_size: Option<OrNone<f64>>,
}

/// What a field is to hold; nothing takes it back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OrNone<T>(Option<T>);

/// Numbers with commas between them, as one argument.
#[derive(Clone, Debug, PartialEq)]
struct Numbers(Vec<f64>);

impl Fields {
    fn patch(self) -> Result<ElementPatch, Failure> {
        Ok(ElementPatch {
            element_type: self.element_type,
            place: self.place,
            size: self.size,
            rotation: self.rotation.map(|rotation| rotation.0),
            z_index: self.z_index.map(|order| order.0),
            text: self.text.map(whole).transpose()?,
            shape: self.shape,
            points: self.points.map(|points| points.0),
            image: self.image.map(|image| image.0),
            chart: self.chart,
            values: self.values.map(|values| values.0),
            fill: self.fill,
            stroke: self.stroke,
            stroke_width: self.stroke_width.map(|width| width.0),
            font_size: self.font_size.map(|size| size.0),
        })
    }
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    let client = context.client();
    match verb {
        Verb::Undo { words } => thing::revert(Step::Undo, &words, "canvas", context).await,
        Verb::Redo { words } => thing::revert(Step::Redo, &words, "canvas", context).await,
        Verb::Show { words } => {
            let canvas: Canvas = client.get(&path(["groups", &words, "canvas"])).await?;
            context.output.answer(&canvas, shown)?;
            Ok(Exit::Done)
        }
        Verb::Set { words, width, height, background } => {
            let (width, height) = (width.map(|width| width.0), height.map(|height| height.0));
            let patch = CanvasPatch { width, height, background_color: background };
            let told = client.send(Method::PATCH, &path(["groups", &words, "canvas"]), &patch).await?;
            thing::finished(&told, context)
        }
        Verb::Element(verb) => element(*verb, context).await,
        Verb::Export(args) => picture::export(args, context).await,
    }
}

async fn element(verb: ElementVerb, context: &Context) -> Result<Exit, Failure> {
    let client = context.client();
    let one = |words: &str, element: &str| path(["groups", words, "canvas", "elements", element]);
    match verb {
        ElementVerb::Add { words, fields } => {
            let place = path(["groups", &words, "canvas", "elements"]);
            let made = client.send(Method::POST, &place, &fields.patch()?).await?;
            thing::made_is_told(&made, context)
        }
        ElementVerb::Set { words, element, fields, if_revision } => {
            let place = one(&words, &element);
            let element: Element = client.patch_if(&place, &fields.patch()?, if_revision).await?;
            context.output.answer(&element, element_line)?;
            Ok(Exit::Done)
        }
        ElementVerb::Delete { words, element } => {
            thing::delete(&client, &one(&words, &element), context).await
        }
    }
}

/// Reads a value, or that there is to be none: `none` or an empty text.
fn or_none<T: FromStr<Err: Display>>(text: &str) -> Result<OrNone<T>, String> {
    match text.trim() {
        "" | "none" => Ok(OrNone(None)),
        text => text.parse().map(|value| OrNone(Some(value))).map_err(|wrong| format!("{wrong}")),
    }
}

/// Reads `X,Y`.
pub(super) fn pair(text: &str) -> Result<[f64; 2], String> {
    match numbers(text)?.0[..] {
        [one, other] => Ok([one, other]),
        _ => Err("give two numbers with a comma between them, such as 40,25".to_owned()),
    }
}

/// Reads numbers with commas between them; nothing is none.
fn numbers(text: &str) -> Result<Numbers, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let numbers = parts.map(|part| part.parse().map_err(|_| format!("\"{part}\" is not a number")));
    numbers.collect::<Result<_, _>>().map(Numbers)
}

fn shown(canvas: &Canvas) -> String {
    let side = |side: Option<f64>| side.map_or_else(|| "?".to_owned(), |side| side.to_string());
    let size = format!("{} by {}", side(canvas.width), side(canvas.height));
    let head = thing::line([size, plain(&canvas.background_color)]);
    [head].into_iter().chain(canvas.elements.iter().map(element_line)).collect::<Vec<_>>().join("\n")
}

/// An element in one line.
fn element_line(element: &Element) -> String {
    let ([across, down], [width, height]) = (element.place, element.size);
    let kind = [&element.shape, &element.chart].into_iter().find(|kind| !kind.is_empty());
    let text = if element.text.is_empty() { String::new() } else { format!("\"{}\"", plain(&element.text)) };
    thing::line([
        plain(kind.unwrap_or(&element.element_type)),
        format!("at {across},{down}"),
        format!("{width} by {height}"),
        text,
        plain(&element.fill),
        if element.z_index == 0 { String::new() } else { format!("z {}", element.z_index) },
        short(&element.id).to_owned(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::things::Person;

    #[test]
    fn numbers_are_read_with_commas_between_them() {
        assert_eq!(pair("-4, 2.5"), Ok([-4.0, 2.5]));
        assert_eq!(numbers(""), Ok(Numbers(Vec::new())));
        for wrong in ["1", "1,2,3", "a,b", ""] {
            assert!(pair(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_number_is_taken_back_by_none_or_nothing() {
        assert_eq!(or_none::<f64>("-4.5"), Ok(OrNone(Some(-4.5))));
        assert_eq!((or_none::<i64>("none"), or_none::<i64>("")), (Ok(OrNone(None)), Ok(OrNone(None))));
        assert!(or_none::<f64>("nothing").is_err());
    }

    #[test]
    fn a_canvas_is_shown_with_one_line_for_each_element() {
        let element = Element {
            id: "OWNER-pmlq2weexxxxx".into(),
            author: Person { identity: "a-b-c-d".into(), name: String::new() },
            element_type: "text".into(),
            place: [40.0, -2.5],
            size: [200.0, 30.0],
            rotation: None,
            z_index: 3,
            text: "Kitchen\x1b\nsink".into(),
            shape: String::new(),
            points: Vec::new(),
            image: None,
            chart: String::new(),
            values: Vec::new(),
            fill: "#fff".into(),
            stroke: String::new(),
            stroke_width: None,
            font_size: None,
            updated: 0,
            revision: String::new(),
        };
        let canvas = Canvas {
            revision: String::new(),
            width: Some(800.0),
            height: None,
            background_color: String::new(),
            elements: vec![element],
        };
        assert_eq!(
            shown(&canvas),
            "800 by ?\ntext  at 40,-2.5  200 by 30  \"Kitchen\u{fffd}\u{fffd}sink\"  #fff  z 3  pmlq2wee"
        );
    }
}
