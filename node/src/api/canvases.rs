//! Canvases: drawings of elements, on which several draw at once.
//!
//! `place` and `size` are two numbers each, which are set together: of two who move an element at
//! once, one wins whole.

use axum::Json;
use axum::extract::{Path, State};
use fourword_protocol::command::{CanvasCommand, Change, Command, ElementView, Reply};
use fourword_protocol::schema::field::{Number, Value};
use fourword_protocol::words::FourWords;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Api;
use super::body::Body;
use super::error::Problem;
use super::revision::{Revised, Seen, revision};
use super::text;
use super::things::{self, Finished, Made, Person, is_named, named};

/// A drawing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Canvas {
    /// Null where nobody set it.
    pub width: Option<f64>,
    /// Null where nobody set it.
    pub height: Option<f64>,
    /// Empty where nobody set it.
    pub background_color: String,
    /// The lowest first.
    pub elements: Vec<Element>,
    /// What `If-Match` takes, to change the canvas itself only if it still is as it is shown here, whatever
    /// is drawn on it.
    #[serde(default)]
    pub revision: String,
}

/// An element of a drawing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Element {
    /// Its id.
    pub id: String,
    /// Who drew it.
    pub author: Person,
    /// text, image, chart or shape, or a word of later software.
    pub element_type: String,
    /// Across and down.
    pub place: [f64; 2],
    /// Width and height.
    pub size: [f64; 2],
    /// In degrees.
    pub rotation: Option<f64>,
    /// What is higher covers what is lower.
    pub z_index: i64,
    /// What is written in it.
    pub text: String,
    /// rectangle, ellipse, line or path, if it is a shape.
    pub shape: String,
    /// The corners of a line or path: across and down in turn.
    pub points: Vec<f64>,
    /// The BLAKE3 hash that names the bytes of an image, as hexadecimal digits.
    pub image: Option<String>,
    /// bars, line or pie, if it is a chart.
    pub chart: String,
    /// What the chart shows.
    pub values: Vec<f64>,
    /// A colour.
    pub fill: String,
    /// A colour.
    pub stroke: String,
    /// How wide the stroke is.
    pub stroke_width: Option<f64>,
    /// How large the text is.
    pub font_size: Option<f64>,
    /// When somebody says to have changed it last, in milliseconds since 1970.
    pub updated: u64,
    /// What `If-Match` takes, to change it only if it still is as it is shown here.
    pub revision: String,
}

/// What of the canvas itself is to be changed; what is left out stays, and null takes a number back.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CanvasPatch {
    /// Its width; null where it is to have none.
    #[serde(deserialize_with = "things::given", skip_serializing_if = "Option::is_none")]
    pub width: Option<Option<f64>>,
    /// Its height; null where it is to have none.
    #[serde(deserialize_with = "things::given", skip_serializing_if = "Option::is_none")]
    pub height: Option<Option<f64>>,
    /// A colour; empty where it is to have none.
    pub background_color: Option<String>,
}

/// What of an element is to be changed, or what a new one is, which needs `element_type`, `place` and
/// `size`. Each field merges on its own with what others change at the same time. What is left out stays;
/// null takes back what not every element has, as an empty text does.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ElementPatch {
    /// text, image, chart or shape.
    pub element_type: Option<String>,
    /// Across and down.
    pub place: Option<[f64; 2]>,
    /// Width and height.
    pub size: Option<[f64; 2]>,
    /// In degrees; null where it is not turned.
    #[serde(deserialize_with = "things::given", skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Option<f64>>,
    /// What is higher covers what is lower; null is as 0.
    #[serde(deserialize_with = "things::given", skip_serializing_if = "Option::is_none")]
    pub z_index: Option<Option<i64>>,
    /// What is written in it.
    pub text: Option<String>,
    /// rectangle, ellipse, line or path.
    pub shape: Option<String>,
    /// The corners of a line or path: across and down in turn.
    pub points: Option<Vec<f64>>,
    /// The BLAKE3 hash that names the bytes of an image, as hexadecimal digits; null where it has none.
    #[serde(deserialize_with = "things::given", skip_serializing_if = "Option::is_none")]
    pub image: Option<Option<String>>,
    /// bars, line or pie.
    pub chart: Option<String>,
    /// What the chart shows.
    pub values: Option<Vec<f64>>,
    /// A colour.
    pub fill: Option<String>,
    /// A colour.
    pub stroke: Option<String>,
    /// How wide the stroke is; null where nobody is to say.
    #[serde(deserialize_with = "things::given", skip_serializing_if = "Option::is_none")]
    pub stroke_width: Option<Option<f64>>,
    /// How large the text is; null where nobody is to say.
    #[serde(deserialize_with = "things::given", skip_serializing_if = "Option::is_none")]
    pub font_size: Option<Option<f64>>,
}

impl From<ElementView> for Element {
    fn from(view: ElementView) -> Element {
        let pair = |(one, other): (Number, Number)| [one.get(), other.get()];
        let numbers = |numbers: Vec<Number>| numbers.into_iter().map(Number::get).collect();
        let element = Element {
            id: view.id.to_string(),
            author: view.author.into(),
            element_type: view.element_type,
            place: pair(view.place),
            size: pair(view.size),
            rotation: view.rotation.map(Number::get),
            z_index: view.z_index,
            text: view.text,
            shape: view.shape,
            points: numbers(view.points),
            image: view.image.map(|hash| blake3::Hash::from(hash).to_string()),
            chart: view.chart,
            values: numbers(view.values),
            fill: view.fill,
            stroke: view.stroke,
            stroke_width: view.stroke_width.map(Number::get),
            font_size: view.font_size.map(Number::get),
            updated: view.updated.0,
            revision: String::new(),
        };
        Element { revision: revision(&element), ..element }
    }
}

impl Revised for Canvas {
    fn revision(&self) -> &str {
        &self.revision
    }
}

impl Revised for Element {
    fn revision(&self) -> &str {
        &self.revision
    }
}

impl CanvasPatch {
    fn values(self) -> Result<Vec<(&'static str, Option<Value>)>, Problem> {
        let values = [
            ("width", held(self.width, single)?),
            ("height", held(self.height, single)?),
            ("background_color", self.background_color.map(|colour| Some(Value::Text(colour)))),
        ];
        let values: Vec<_> = values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        if values.is_empty() {
            return Err(Problem::usage("nothing to be changed is given"));
        }
        Ok(values)
    }
}

impl ElementPatch {
    fn changes(self) -> Result<Vec<Change>, Problem> {
        let others = [
            ("place", held(self.place.map(Some), pair)?),
            ("size", held(self.size.map(Some), pair)?),
            ("rotation", held(self.rotation, single)?),
            ("z_index", held(self.z_index, |order| Ok(Value::Whole(order)))?),
            ("points", held(self.points.map(Some), numbers)?),
            ("image", held(self.image, |digits| image(&digits))?),
            ("values", held(self.values.map(Some), numbers)?),
            ("stroke_width", held(self.stroke_width, single)?),
            ("font_size", held(self.font_size, single)?),
        ];
        let others = others.into_iter().filter_map(|(name, value)| {
            let name = name.to_owned();
            Some(match value? {
                Some(value) => Change::Field(name, value),
                None => Change::Clear(name),
            })
        });
        let texts = things::texts([
            ("element_type", self.element_type),
            ("text", self.text),
            ("shape", self.shape),
            ("chart", self.chart),
            ("fill", self.fill),
            ("stroke", self.stroke),
        ]);
        things::some(texts.into_iter().chain(others).collect())
    }
}

/// What a field is to hold, if it was given; nothing where null was.
fn held<T>(
    given: Option<Option<T>>,
    value: impl Fn(T) -> Result<Value, Problem>,
) -> Result<Option<Option<Value>>, Problem> {
    given.map(|given| given.map(value).transpose()).transpose()
}

fn number(number: f64) -> Result<Number, Problem> {
    Number::new(number).ok_or_else(|| Problem::usage("a number must be finite"))
}

fn single(value: f64) -> Result<Value, Problem> {
    Ok(Value::Number(number(value)?))
}

fn pair([one, other]: [f64; 2]) -> Result<Value, Problem> {
    Ok(Value::Pair(number(one)?, number(other)?))
}

fn numbers(list: Vec<f64>) -> Result<Value, Problem> {
    Ok(Value::Numbers(list.into_iter().map(number).collect::<Result<_, _>>()?))
}

fn image(digits: &str) -> Result<Value, Problem> {
    let hash = blake3::Hash::from_hex(digits);
    let hash =
        hash.map_err(|_| Problem::usage("an image is named by the 64 hexadecimal digits of a hash"))?;
    Ok(Value::Blob(*hash.as_bytes()))
}

/// `GET /api/v1/groups/{words}/canvas`
pub async fn show(State(api): State<Api>, Path(words): Path<String>) -> Result<Json<Canvas>, Problem> {
    canvas(&api, text::words(&words)?).await.map(Json)
}

/// `PATCH /api/v1/groups/{words}/canvas`: changes what is given, one after the other; perhaps with `If-Match`
pub async fn configure(
    State(api): State<Api>,
    Path(words): Path<String>,
    seen: Seen,
    Body(patch): Body<CanvasPatch>,
) -> Result<Json<Finished>, Problem> {
    let (words, values) = (text::words(&words)?, patch.values()?);
    let api = seen.guard(api, async |api| canvas(api, words).await).await?;
    for (name, value) in values {
        api.act(Command::Canvas(words, CanvasCommand::Metadata(name.to_owned(), value))).await?;
    }
    Ok(Json(Finished::YES))
}

/// `POST /api/v1/groups/{words}/canvas/elements`
pub async fn add(
    State(api): State<Api>,
    Path(words): Path<String>,
    Body(new): Body<ElementPatch>,
) -> Result<Json<Made>, Problem> {
    let command = Command::Canvas(text::words(&words)?, CanvasCommand::Add(new.changes()?));
    Ok(Json(api.make(command).await?.into()))
}

/// `PATCH /api/v1/groups/{words}/canvas/elements/{element}`, perhaps with `If-Match`
pub async fn change(
    State(api): State<Api>,
    Path((words, element)): Path<(String, String)>,
    seen: Seen,
    Body(patch): Body<ElementPatch>,
) -> Result<Json<Element>, Problem> {
    let (words, element, changes) = (text::words(&words)?, named(element)?, patch.changes()?);
    let api = seen.guard(api, async |api| one(api, words, &element).await).await?;
    api.act(Command::Canvas(words, CanvasCommand::Set(element.clone(), changes))).await?;
    Ok(Json(one(&api, words, &element).await?))
}

/// `DELETE /api/v1/groups/{words}/canvas/elements/{element}`: for good; perhaps with `If-Match`
pub async fn remove(
    State(api): State<Api>,
    Path((words, element)): Path<(String, String)>,
    seen: Seen,
) -> Result<Json<Finished>, Problem> {
    let (words, element) = (text::words(&words)?, named(element)?);
    let api = seen.guard(api, async |api| one(api, words, &element).await).await?;
    api.act(Command::Canvas(words, CanvasCommand::Delete(element))).await?;
    Ok(Json(Finished::YES))
}

async fn canvas(api: &Api, words: FourWords) -> Result<Canvas, Problem> {
    let Reply::Canvas(canvas) = api.ask(Command::Canvas(words, CanvasCommand::Show)).await? else {
        return Err(Problem::mismatch());
    };
    let (width, height) = (canvas.width.map(Number::get), canvas.height.map(Number::get));
    Ok(Canvas {
        revision: revision(&(width, height, &canvas.background_color)),
        width,
        height,
        background_color: canvas.background_color,
        elements: canvas.elements.into_iter().map(Element::from).collect(),
    })
}

/// One element as it is now. Where a name fits several the machine refuses what is asked of it.
async fn one(api: &Api, words: FourWords, name: &str) -> Result<Element, Problem> {
    let mut elements = canvas(api, words).await?.elements.into_iter();
    elements.find(|element| is_named(&element.id, name)).ok_or_else(|| things::missing("element", name))
}
