//! Answers to commands that take long: JSON Lines with the progress, then the end.
//!
//! A client that accepts `application/x-ndjson` gets a [`Line`] for each report and one more for
//! the end; any other waits and gets plain JSON. When the client hangs up, the wait ends.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use fourword_protocol::command::{self, Command, Reply};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::error::Problem;
use super::{Api, done, too_long};

/// The media type of JSON Lines.
pub const LINES: &str = "application/x-ndjson";

/// Lines that wait for a slow reader; the command waits with them.
const LINES_WAITING_MAX: usize = 16;

/// How far a command has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// What is being done, for people.
    pub what: String,
    /// Steps done.
    pub done: u32,
    /// Steps expected on average; more may be needed.
    pub expected: u32,
}

/// One line of an answer that takes long.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "{T}Line")]
pub enum Line<T> {
    /// It goes on.
    Progress(Progress),
    /// The end: it is done.
    Done(T),
    /// The end: it was not done.
    Error(Problem),
}

/// An answer that takes long: plain JSON, or a line for each report and one for the end.
#[derive(Debug)]
pub struct Long<T>(Response, PhantomData<T>);

impl<T> Long<T> {
    fn new(response: Response) -> Long<T> {
        Long(response, PhantomData)
    }
}

impl<T> IntoResponse for Long<T> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl From<command::Progress> for Progress {
    fn from(progress: command::Progress) -> Progress {
        Progress { what: progress.what, done: progress.done, expected: progress.expected }
    }
}

/// Asks a long command and answers in the form that the client accepts.
pub(super) async fn answer<T: Serialize + Send + 'static>(
    api: &Api,
    headers: &HeaderMap,
    command: Command,
    time_max: Duration,
    read: fn(Reply) -> Result<T, Problem>,
) -> Result<Long<T>, Problem> {
    if !accepts_lines(headers) {
        let outcome = tokio::time::timeout(time_max, api.node.ask(command)).await;
        let reply = done(outcome.map_err(|_| too_long(time_max))?)?;
        return Ok(Long::new(axum::Json(read(reply)?).into_response()));
    }
    let (sender, lines) = mpsc::channel(LINES_WAITING_MAX);
    tokio::spawn(report(api.clone(), command, time_max, read, sender));
    Ok(Long::new(streamed(lines)))
}

/// Does something that takes long, as the client accepts to be told of it.
pub(super) async fn follow<T: Serialize + Send + 'static, Doing>(
    headers: &HeaderMap,
    act: impl FnOnce(mpsc::Sender<Progress>) -> Doing,
) -> Result<Long<T>, Problem>
where
    Doing: Future<Output = Result<T, Problem>> + Send + 'static,
{
    let (reports, mut reported) = mpsc::channel(LINES_WAITING_MAX);
    let doing = act(reports);
    if !accepts_lines(headers) {
        drop(reported);
        return Ok(Long::new(axum::Json(doing.await?).into_response()));
    }
    let (sender, lines) = mpsc::channel(LINES_WAITING_MAX);
    tokio::spawn(async move {
        tokio::pin!(doing);
        let end = loop {
            tokio::select! {
                biased;
                Some(report) = reported.recv() => pass(&sender, Line::<T>::Progress(report)).await,
                end = &mut doing => break end,
                () = sender.closed() => return,
            }
        };
        pass(&sender, end.map_or_else(Line::Error, Line::Done)).await;
    });
    Ok(Long::new(streamed(lines)))
}

fn accepts_lines(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accepted.is_some_and(|accept| accept.contains(LINES))
}

fn streamed(lines: mpsc::Receiver<Vec<u8>>) -> Response {
    let lines = futures::stream::unfold(lines, |mut lines| async {
        lines.recv().await.map(|line| (Ok::<Vec<u8>, Infallible>(line), lines))
    });
    ([(header::CONTENT_TYPE, LINES)], Body::from_stream(lines)).into_response()
}

async fn report<T: Serialize>(
    api: Api,
    command: Command,
    time_max: Duration,
    read: fn(Reply) -> Result<T, Problem>,
    lines: mpsc::Sender<Vec<u8>>,
) {
    let (sender, mut reports) = mpsc::channel(LINES_WAITING_MAX);
    let outcome = tokio::time::timeout(time_max, api.node.ask_with_progress(command, sender));
    tokio::pin!(outcome);
    let outcome = loop {
        tokio::select! {
            biased;
            Some(report) = reports.recv() => pass(&lines, Line::<T>::Progress(report.into())).await,
            outcome = &mut outcome => break outcome,
            () = lines.closed() => return,
        }
    };
    // The last reports may have come together with the outcome.
    while let Ok(report) = reports.try_recv() {
        pass(&lines, Line::<T>::Progress(report.into())).await;
    }
    let end = outcome.map_err(|_| too_long(time_max)).and_then(done).and_then(read);
    pass(&lines, end.map_or_else(Line::Error, Line::Done)).await;
}

async fn pass<T: Serialize>(lines: &mpsc::Sender<Vec<u8>>, line: Line<T>) {
    let mut text = serde_json::to_vec(&line).unwrap_or_default();
    text.push(b'\n');
    // The reader may have gone: then nobody is left to be told.
    let _ = lines.send(text).await;
}
