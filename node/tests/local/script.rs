//! A node that answers as a test says, behind a real server in a home of its own.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fourword::api::server::Server;
use fourword::api::{Answers, Api};
use fourword::driver::{Report, Stopped};
use fourword::paths::Paths;
use fourword::reading::Reading;
use fourword::swarm;
use fourword_protocol::command::{
    AboutView, Command, EntityView, Kind, Notice, Outcome, PersonView, Progress, Refusal, RefusalCode, Reply,
    Status,
};
use fourword_protocol::ids::{DeviceKey, Digest, EntityId, PersonId};
use fourword_protocol::roster::Role;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::schema::core::Settings;
use fourword_protocol::words::FourWords;
use fourword_storage::read_model::ReadModel;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{broadcast, mpsc};

pub(crate) const WORDS: &str = "ocean-forest-moon-star";

type Answer = Box<dyn Fn(&Command) -> Result<Outcome, Stopped> + Send + Sync>;

/// Answers by a function and remembers what it was asked.
pub(crate) struct Script {
    answer: Answer,
    asked: Mutex<Vec<(Command, Option<Duration>)>>,
    notices: broadcast::Sender<Notice>,
}

impl Script {
    fn answer(&self, command: Command, wait: Option<Duration>) -> Result<Outcome, Stopped> {
        let answer = (self.answer)(&command);
        self.asked.lock().unwrap().push((command, wait));
        answer
    }

    pub(crate) fn asked(&self) -> Vec<(Command, Option<Duration>)> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Answers for Script {
    fn ask(&self, command: Command) -> BoxFuture<'_, Result<Outcome, Stopped>> {
        Box::pin(async { self.answer(command, None) })
    }

    fn ask_with_progress(
        &self,
        command: Command,
        progress: mpsc::Sender<Progress>,
    ) -> BoxFuture<'_, Result<Outcome, Stopped>> {
        Box::pin(async move {
            for done in [1, 2] {
                let report = Progress { what: "Finding a name".into(), done, expected: 16 };
                progress.send(report).await.unwrap();
            }
            self.answer(command, None)
        })
    }

    fn ask_for(&self, command: Command, wait: Duration) -> BoxFuture<'_, Result<Outcome, Stopped>> {
        Box::pin(async move { self.answer(command, Some(wait)) })
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    fn report(&self) -> BoxFuture<'_, Result<Report, Stopped>> {
        Box::pin(async { Ok(Report::default()) })
    }

    fn addresses(&self) -> Vec<String> {
        vec!["/ip4/192.0.2.1/tcp/4001".into()]
    }

    fn paths(&self) -> swarm::Paths {
        swarm::Paths::from([(
            DeviceKey([2; 32]),
            swarm::Path { relayed: true, transport: swarm::Transport::Quic },
        )])
    }
}

/// A scripted node that is served.
pub(crate) struct Node {
    pub(crate) script: Arc<Script>,
    pub(crate) api: Api,
    pub(crate) server: Server,
    pub(crate) paths: Paths,
    home: TempDir,
}

impl Node {
    pub(crate) async fn start(
        answer: impl Fn(&Command) -> Result<Outcome, Stopped> + Send + Sync + 'static,
    ) -> Node {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::find(Some(home.path().into()), |_| None).unwrap();
        let notices = broadcast::channel(16).0;
        let script = Arc::new(Script { answer: Box::new(answer), asked: Mutex::default(), notices });
        let model = ReadModel::in_memory().unwrap();
        let reading = Reading::start(script.clone(), model).unwrap();
        let api = Api::new(script.clone(), reading);
        let server = Server::start(api.clone(), &paths, ([127, 0, 0, 1], 0).into()).await.unwrap();
        Node { script, api, server, paths, home }
    }

    /// A node that does everything it is asked with this reply.
    pub(crate) async fn replying(reply: Reply) -> Node {
        Node::start(move |_| done(reply.clone())).await
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.home.path().into()
    }

    pub(crate) fn notify(&self, notice: Notice) {
        self.script.notices.send(notice).unwrap();
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.endpoint().url.rsplit(':').next().unwrap().parse().unwrap()
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.paths.token()).unwrap()
    }

    /// One request over the unix socket, with a JSON body if `body` is not empty.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let response = self.send(method, path, body, &[]).await;
        (response.status().as_u16(), value(response).await)
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Response<Incoming> {
        let stream = UnixStream::connect(self.paths.socket()).await.unwrap();
        exchange(stream, request(method, path, body, "localhost", headers)).await
    }

    /// One request over TCP.
    pub(crate) async fn send_tcp(
        &self,
        path: &str,
        host: &str,
        headers: &[(&str, &str)],
    ) -> Response<Incoming> {
        let stream = TcpStream::connect(("127.0.0.1", self.port())).await.unwrap();
        exchange(stream, request("GET", path, "", host, headers)).await
    }
}

fn request(
    method: &str,
    path: &str,
    body: &str,
    host: &str,
    headers: &[(&str, &str)],
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path).header(HOST, host);
    if !headers.iter().any(|(name, _)| *name == CONTENT_TYPE) {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::from(body.to_owned())).unwrap()
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Response<Incoming> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(request).await.unwrap()
}

pub(crate) async fn value(response: Response<Incoming>) -> Value {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into())
}

pub(crate) fn done(reply: Reply) -> Result<Outcome, Stopped> {
    Ok(Outcome::Done(reply))
}

pub(crate) fn refused(code: RefusalCode) -> Result<Outcome, Stopped> {
    Ok(Outcome::Refused(Refusal { code, message: "it is so".into(), hint: "do that".into() }))
}

pub(crate) fn words() -> FourWords {
    WORDS.parse().unwrap()
}

pub(crate) fn person() -> PersonView {
    PersonView { person: PersonId([1; 32]), words: Some(words()), name: "Ada".into() }
}

pub(crate) fn stranger() -> PersonView {
    PersonView { person: PersonId([0xab; 32]), words: None, name: String::new() }
}

pub(crate) fn message_id() -> MessageId {
    MessageId { owner: [1; 16], random: [2; 8] }
}

pub(crate) fn group() -> EntityView {
    EntityView {
        words: words(),
        id: EntityId([5; 32]),
        kind: Kind::Group,
        name: "Team".into(),
        parent: None,
        role: Some(Role::Owner),
        members: 2,
        about: AboutView { description: "All about\nthe kitchen".into(), website: Some(Digest([9; 32])) },
        settings: Settings::default(),
    }
}

pub(crate) fn status() -> Status {
    Status {
        identity: words(),
        person: PersonId([1; 32]),
        device: DeviceKey([2; 32]),
        name: "Ada".into(),
        root_here: true,
        entities: 1,
        peers: 0,
        read_only: None,
        dropped: vec![("stale".into(), 3)],
        faults: Vec::new(),
    }
}
