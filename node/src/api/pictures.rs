//! Canvases as pictures: SVG, and PNG for who cannot show that.

use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use fourword_protocol::command::{CanvasCommand, Command, Reply};
use tokio::sync::Semaphore;

use super::error::{Code, Problem};
use super::{Api, text};
use crate::picture::{self, Picture, Unpainted};

/// Says how many elements a picture leaves out.
pub const LEFT_OUT: &str = "x-fourword-left-out";

/// Pictures that are drawn at once: each takes a thread, and up to 64 MiB.
const DRAWN_AT_ONCE_MAX: usize = 1;

/// Who may draw.
static DRAWING: Semaphore = Semaphore::const_new(DRAWN_AT_ONCE_MAX);

/// The bytes of a picture, and how many elements it leaves out.
type Drawn = (Vec<u8>, usize);

/// A canvas as SVG.
pub struct Svg(Drawn);

/// A canvas as PNG.
pub struct Png(Drawn);

impl Svg {
    /// Its media type.
    pub const KIND: &str = "image/svg+xml";
}

impl Png {
    /// Its media type.
    pub const KIND: &str = "image/png";
}

impl IntoResponse for Svg {
    fn into_response(self) -> Response {
        shown(Svg::KIND, self.0)
    }
}

impl IntoResponse for Png {
    fn into_response(self) -> Response {
        shown(Png::KIND, self.0)
    }
}

/// `GET /api/v1/groups/{words}/canvas/svg`
pub async fn svg(State(api): State<Api>, Path(words): Path<String>) -> Result<Svg, Problem> {
    drawn(&api, &words, |picture| Ok((picture.svg.into_bytes(), picture.left_out))).await.map(Svg)
}

/// `GET /api/v1/groups/{words}/canvas/png`
pub async fn png(State(api): State<Api>, Path(words): Path<String>) -> Result<Png, Problem> {
    drawn(&api, &words, |picture| Ok((picture::png(&picture)?, picture.left_out))).await.map(Png)
}

/// Draws a canvas where nothing else waits for it.
async fn drawn(
    api: &Api,
    words: &str,
    draw: impl FnOnce(Picture) -> Result<Drawn, Unpainted> + Send + 'static,
) -> Result<Drawn, Problem> {
    let command = Command::Canvas(text::words(words)?, CanvasCommand::Show);
    let Reply::Canvas(canvas) = api.ask(command).await? else { return Err(Problem::mismatch()) };
    let turn = DRAWING.acquire().await.map_err(|_| Problem::mismatch())?;
    let drawn = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        draw(picture::svg(&canvas))
    });
    let drawn = drawn.await.map_err(|_| Problem::new(Code::Internal, "the picture was not drawn", ""))?;
    drawn.map_err(|unpainted| match unpainted {
        Unpainted::TooMany(_) => Problem::new(Code::TooMuch, unpainted.to_string(), "take it as SVG"),
        Unpainted::Unfit => Problem::new(Code::Internal, unpainted.to_string(), "take it as SVG"),
    })
}

/// A picture that a browser shows and does nothing else with.
fn shown(kind: &'static str, (bytes, left_out): Drawn) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; sandbox".to_owned(),
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (HeaderName::from_static(LEFT_OUT), left_out.to_string()),
    ];
    (headers, bytes).into_response()
}
