//! Serves the API on a unix socket and on loopback TCP, and tells clients where.
//!
//! `run/api.json` says how a running node is reached; it is there from the moment both listeners
//! are up until the node has ended cleanly. Precondition: the caller holds the home's lock, so a
//! socket file found here is left from a node that is gone.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::middleware::from_fn_with_state;
use fourword_protocol::ids::to_hex;
use rand::TryRng;
use rand::rngs::SysRng;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

use super::bounded::Bounded;
use super::guard::{Guard, admit};
use super::{Api, router};
use crate::paths::{self, Paths};

/// How long requests under way may take to end once the node stops.
const GRACE: Duration = Duration::from_secs(2);

/// How a running node is reached: the content of `run/api.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Where it is reached over TCP, with the token.
    pub url: String,
    /// The unix socket, which needs no token.
    pub socket: PathBuf,
    /// The process.
    pub pid: u32,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    endpoint: Endpoint,
    paths: Paths,
    tasks: JoinSet<io::Result<()>>,
}

impl Server {
    /// Begins to serve on the home's socket and on `address`, which must be loopback.
    pub async fn start(api: Api, paths: &Paths, address: SocketAddr) -> anyhow::Result<Server> {
        anyhow::ensure!(address.ip().is_loopback(), "the API listens on loopback only, not on {address}");
        paths.create().with_context(|| format!("cannot make {}", paths.home().display()))?;
        let unix = bind(paths).with_context(|| format!("cannot open {}", paths.socket().display()))?;
        let tcp = TcpListener::bind(address).await.with_context(|| {
            format!("cannot open the API on {address}; give another place with --api 127.0.0.1:0")
        })?;
        let address = tcp.local_addr()?;
        let token = token()?;
        let endpoint = Endpoint {
            url: format!("http://{address}"),
            socket: paths.socket().into(),
            pid: std::process::id(),
        };
        paths::replace(&paths.token(), token.as_bytes())?;
        // Before anything is answered: whoever got an answer may rely on the file.
        paths::replace(&paths.api(), &serde_json::to_vec(&endpoint)?)?;

        let open = router(api.clone());
        let guarded = open.clone().layer(from_fn_with_state(Guard::new(&token, address.port()), admit));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(unix, open, api.clone()));
        tasks.spawn(serve(tcp, guarded, api));
        Ok(Server { endpoint, paths: paths.clone(), tasks })
    }

    /// How it is reached.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Waits for requests under way, not long, and closes the listeners. Call `Api::stop` before.
    pub async fn close(mut self) -> Closed {
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
        Closed(self.paths)
    }
}

/// A server that has ended; its files say so once they are removed.
#[derive(Debug)]
pub struct Closed(Paths);

impl Closed {
    /// Takes away what told clients of the node. To be called when the node has ended cleanly.
    pub fn remove_files(self) {
        for file in [self.0.socket().to_owned(), self.0.token(), self.0.api()] {
            if let Err(e) = fs::remove_file(&file) {
                tracing::warn!(file = %file.display(), "cannot remove: {e}");
            }
        }
    }
}

async fn serve<L>(listener: L, router: Router, api: Api) -> io::Result<()>
where
    L: axum::serve::Listener,
    L::Addr: std::fmt::Debug,
{
    axum::serve(Bounded::new(listener), router)
        .with_graceful_shutdown(async move { api.stopping().await })
        .await
}

/// Opens the socket of a home, in place of one that was left there.
pub(crate) fn bind(paths: &Paths) -> io::Result<UnixListener> {
    match fs::remove_file(paths.socket()) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(paths.socket())?;
    fs::set_permissions(paths.socket(), Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn token() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes).context("drawing a token from the system")?;
    Ok(to_hex(&bytes))
}
