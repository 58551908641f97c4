//! What a request brings: JSON of bounded size, read in bounded time, with no field unknown.

use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;

use super::error::{Code, Problem};

/// Bytes of the largest body: the longest text of a message fits nearly four times.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// How long a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// The body of a request as JSON.
///
/// Asks for `application/json` by name: a page in a browser cannot send that elsewhere unasked.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Body<T>, Problem> {
        let body = whole(request, BODY_BYTES_MAX).await?;
        serde_json::from_slice(&body).map(Body).map_err(|e| Problem::usage(format!("the body: {e}")))
    }
}

/// The bytes of a body that is said to be JSON, at most `bytes_max`.
pub(super) async fn whole(request: Request, bytes_max: usize) -> Result<Bytes, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let detail = "the body must be JSON, with the header content-type: application/json";
        return Err(Problem::usage(detail).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let body = tokio::time::timeout(BODY_TIME_MAX, to_bytes(request.into_body(), bytes_max));
    let arrived =
        body.await.map_err(|_| Problem::new(Code::TimedOut, "the body did not arrive in time", ""))?;
    arrived.map_err(|_| {
        let detail = format!("the body is broken off or larger than {bytes_max} bytes");
        Problem::usage(detail).with_status(StatusCode::PAYLOAD_TOO_LARGE)
    })
}
