//! Speaks to the node of this home over its unix socket: one connection per request.
//!
//! Invariant: that no node answers is told apart from every other failure (exit code 5).

use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::failure::Failure;
use super::output::Output;
use crate::api::error::{Code, Problem};
use crate::api::progress::{LINES, Line};
use crate::api::server::Endpoint;
use crate::paths::Paths;

/// Bytes of the largest answer: 10,000 messages of the usual size take about 10 MiB.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of one line of a stream.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A client of one node.
#[derive(Clone, Debug)]
pub(super) struct Client {
    socket: PathBuf,
    timeout: Duration,
}

impl Client {
    /// A client of the node of this home, which need not run. Waits `timeout` for each answer.
    pub(super) fn new(paths: &Paths, timeout: Duration) -> Client {
        // A node started under another environment may have put its socket elsewhere.
        let endpoint = std::fs::read(paths.api()).ok();
        let endpoint = endpoint.and_then(|text| serde_json::from_slice::<Endpoint>(&text).ok());
        let socket = endpoint.map_or_else(|| paths.socket().to_owned(), |endpoint| endpoint.socket);
        Client { socket, timeout }
    }

    /// The same client, which waits for answers so much longer.
    pub(super) fn patient(&self, longer: Duration) -> Client {
        Client { socket: self.socket.clone(), timeout: self.timeout.saturating_add(longer) }
    }

    /// Asks for something.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.whole(request(Method::GET, path, Bytes::new())?).await
    }

    /// Asks for a text.
    pub(super) async fn text(&self, path: &str) -> Result<String, Failure> {
        String::from_utf8(self.bytes(path).await?.into()).map_err(|_| garbled())
    }

    /// Asks for bytes that are no JSON.
    pub(super) async fn bytes(&self, path: &str) -> Result<Bytes, Failure> {
        let request = request(Method::GET, path, Bytes::new())?;
        let bytes = self.within(async {
            let response = self.exchange(request).await?;
            if !response.status().is_success() {
                return Err(problem(response).await?);
            }
            body(response).await
        });
        bytes.await
    }

    /// The same client, which waits for answers no longer than this.
    pub(super) fn hasty(&self, timeout: Duration) -> Client {
        Client { socket: self.socket.clone(), timeout: self.timeout.min(timeout) }
    }

    /// Whether there is a socket to ask at; who listened there may be gone.
    pub(super) fn is_there(&self) -> bool {
        self.socket.exists()
    }

    /// Sends something without content.
    pub(super) async fn act<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Failure> {
        self.whole(request(method, path, Bytes::new())?).await
    }

    /// Sends something with content.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.whole(request(method, path, to_json(body)?)?).await
    }

    /// Changes something; only if it still has this revision, where one is given.
    pub(super) async fn patch_if<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        revision: Option<String>,
    ) -> Result<T, Failure> {
        let mut request = request(Method::PATCH, path, to_json(body)?)?;
        if let Some(revision) = revision {
            let seen = header::HeaderValue::try_from(format!("\"{revision}\""));
            let seen = seen.map_err(|_| Failure::usage("a revision is 16 hexadecimal digits"))?;
            request.headers_mut().insert(header::IF_MATCH, seen);
        }
        self.whole(request).await
    }

    /// Sends something that takes long, showing how far it has come. Waits without end.
    pub(super) async fn send_long<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        output: Output,
    ) -> Result<T, Failure> {
        let mut request = request(Method::POST, path, to_json(body)?)?;
        request.headers_mut().insert(header::ACCEPT, header::HeaderValue::from_static(LINES));
        let mut lines = self.lines(request).await?;
        let mut meter = output.meter();
        while let Some(line) = lines.next().await? {
            match serde_json::from_slice(&line).map_err(|_| garbled())? {
                Line::Progress(progress) => meter.draw(&progress),
                Line::Done(value) => return Ok(value),
                Line::Error(problem) => return Err(problem.into()),
            }
        }
        Err(broken_off())
    }

    /// Opens a stream of server-sent events, from now on.
    pub(super) async fn events(&self) -> Result<Lines, Failure> {
        self.lines(request(Method::GET, "/api/v1/events", Bytes::new())?).await
    }

    async fn lines(&self, request: Request<Full<Bytes>>) -> Result<Lines, Failure> {
        let response = self.within(self.exchange(request)).await?;
        if !response.status().is_success() {
            return Err(self.within(problem(response)).await?);
        }
        Ok(Lines { body: response.into_body(), held: Vec::new() })
    }

    async fn whole<T: DeserializeOwned>(&self, request: Request<Full<Bytes>>) -> Result<T, Failure> {
        self.within(async {
            let response = self.exchange(request).await?;
            if !response.status().is_success() {
                return Err(problem(response).await?);
            }
            serde_json::from_slice(&body(response).await?).map_err(|_| garbled())
        })
        .await
    }

    async fn within<T>(&self, answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let hint = "it may still be done: look before you try again, or wait longer with --timeout";
        tokio::time::timeout(self.timeout, answer).await.unwrap_or_else(|_| {
            let message = format!("the node did not answer within {} seconds", self.timeout.as_secs());
            Err(Failure::new(Code::TimedOut, message, hint))
        })
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|e| match e.kind() {
            std::io::ErrorKind::PermissionDenied => Failure::new(
                Code::NotAllowed,
                format!("{}: {e}", self.socket.display()),
                "it is another user's node",
            ),
            _ => not_running(),
        })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|_| not_running())?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|_| broken_off())
    }
}

/// The lines of a stream as they come.
#[derive(Debug)]
pub(super) struct Lines {
    body: Incoming,
    held: Vec<u8>,
}

impl Lines {
    /// The next line without its end; `None` once the stream has ended.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
                let rest = self.held.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.held, rest);
                line.pop();
                return Ok(Some(line));
            }
            if self.held.len() > LINE_BYTES_MAX {
                return Err(garbled());
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => {
                    if let Some(data) = frame.map_err(|_| broken_off())?.data_ref() {
                        self.held.extend_from_slice(data);
                    }
                }
            }
        }
    }
}

fn request(method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|e| Failure::internal(format!("{path}: {e}")))
}

fn to_json(body: &impl Serialize) -> Result<Bytes, Failure> {
    serde_json::to_vec(body).map(Bytes::from).map_err(|e| Failure::internal(e.to_string()))
}

async fn body(response: Response<Incoming>) -> Result<Bytes, Failure> {
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    Ok(body.collect().await.map_err(|_| broken_off())?.to_bytes())
}

async fn problem(response: Response<Incoming>) -> Result<Failure, Failure> {
    let status = response.status();
    let body = body(response).await?;
    Ok(serde_json::from_slice::<Problem>(&body)
        .map_or_else(|_| Failure::internal(format!("the node answered {status}")), Failure::from))
}

fn not_running() -> Failure {
    Failure::new(Code::NotRunning, "no node runs here", "start it with `fourword start`")
}

fn broken_off() -> Failure {
    Failure::new(Code::NotRunning, "the node ended before it answered", "see its log: `fourword paths`")
}

fn garbled() -> Failure {
    Failure::new(
        Code::Internal,
        "the node's answer cannot be read",
        "the node may be of another version: `fourword stop`, then `fourword start`",
    )
}

/// A path from parts that may hold any character.
pub(super) fn path<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    parts.into_iter().fold(String::from("/api/v1"), |path, part| path + "/" + &escaped(part))
}

/// A part of a path or query with all but letters, digits and a few signs escaped.
pub(super) fn escaped(part: &str) -> String {
    use std::fmt::Write;
    part.bytes().fold(String::with_capacity(part.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_path_may_hold_any_character() {
        assert_eq!(path(["groups", "a b/c", "👍"]), "/api/v1/groups/a%20b%2Fc/%F0%9F%91%8D");
        assert_eq!(path(["..", "?x=1"]), "/api/v1/%2E%2E/%3Fx%3D1");
    }
}
