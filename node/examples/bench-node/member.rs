//! A node in a group: starts it, founds or joins the group, writes and reads its chat.
//!
//! The node is the product's own, on a disk, with a real flush before each acknowledgement. Only
//! names are stretched by the cheap function that tests use, since a stretch takes a fifth of a
//! second of a core and would hide what is measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use fourword::daemon::{self, Options};
use fourword::driver::Handle;
use fourword::reading::Reading;
use fourword_protocol::command::{
    ChatCommand, Command, EntityView, JoinBy, JoinState, Kind, Notice, Outcome, RefusalCode, Reply,
};
use fourword_protocol::limits::READ_MESSAGES_MAX;
use fourword_protocol::roster::Role;
use fourword_protocol::roster::invite::InviteCode;
use fourword_protocol::time::WallTime;
use fourword_protocol::words::{FourWords, Naming};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use crate::clock::now_ms;
use crate::gate::Gate;
use crate::message;
use crate::seen::{self, Seen};
use crate::text::Text;

/// Where a bench node listens.
const LISTEN: &str = "/ip4/127.0.0.1/tcp/0";

/// Commits of one burst that wait for the disk at once.
pub(crate) const IN_FLIGHT_MAX: usize = 256;

/// Messages in each of the further groups: ten for each of its two documents.
const IDLE_MESSAGES: u64 = 20;

/// How many may join by one link.
const USES: u32 = 1000;

/// A running node and the group that is measured.
pub(crate) struct Member {
    /// What this node's application was told of.
    pub(crate) seen: Arc<Seen>,
    handle: Handle,
    home: PathBuf,
    writer: char,
    group: FourWords,
    peers: Vec<String>,
    gate: Gate,
}

impl Member {
    /// Starts the node in `home` and has it in the group: of an earlier run, of the link, or a new
    /// one. Gives the member, and what others need to join it.
    pub(crate) async fn start(
        home: PathBuf,
        writer: char,
        peers: Vec<String>,
        link: Option<String>,
    ) -> anyhow::Result<(Member, Value)> {
        let (handle, mut notices) = open(&home).await?;
        let address = handle.addresses().first().cloned().context("the node listens nowhere")?;
        let (group, link) = match (held(&handle).await?, link) {
            (Some(group), link) => (group.words, link),
            (None, Some(link)) => (join(&handle, &mut notices, &link, &peers).await?, Some(link)),
            (None, None) => {
                let words = found(&handle, "bench").await?;
                (words, Some(invite(&handle, words).await?))
            }
        };
        for peer in &peers {
            must(&handle, Command::Dial(peer.clone())).await?;
        }
        let seen = Arc::new(Seen::default());
        // What came before is read once; what comes meanwhile is told to the receiver and counts once.
        let told = handle.notices();
        seen::note_held(&handle, group, &seen).await;
        tokio::spawn(seen::listen(handle.clone(), told, group, Arc::clone(&seen)));
        let gate = Gate::of(&address)?;
        let answer = json!({ "addr": address, "doc": link });
        Ok((Member { seen, handle, home, writer, group, peers, gate }, answer))
    }

    /// Writes one message and waits until it is durable.
    pub(crate) async fn put(&self, number: u64) -> anyhow::Result<Value> {
        let begun = now_ms();
        must(&self.handle, self.send(number)).await?;
        Ok(json!({ "t0": begun, "t1": now_ms() }))
    }

    /// Writes messages, so many at once as may wait for the disk, until all are durable.
    pub(crate) async fn burst(&self, from: u64, count: u64) -> anyhow::Result<Value> {
        let begun = now_ms();
        let numbers = from..from.saturating_add(count);
        let writes = numbers.map(|number| must(&self.handle, self.send(number)));
        let mut done = futures::stream::iter(writes).buffer_unordered(IN_FLIGHT_MAX);
        while let Some(written) = done.next().await {
            written?;
        }
        Ok(json!({ "t0": begun, "t1": now_ms() }))
    }

    /// The text that is written in the group.
    pub(crate) fn text(&self) -> Text<'_> {
        Text { handle: &self.handle, group: self.group }
    }

    /// Whether the chat shows a message.
    pub(crate) async fn has(&self, writer: char, number: u64) -> Value {
        let wanted = message::id(writer, number);
        let messages = seen::last_messages(&self.handle, self.group, READ_MESSAGES_MAX).await;
        let has = messages.iter().any(|view| message::id_of(&view.message.text) == Some(wanted.as_str()));
        json!({ "has": has })
    }

    /// Cuts this node off. Whoever says anything over its connections finds them closed.
    pub(crate) fn go_offline(&self) -> anyhow::Result<Value> {
        self.gate.shut()?;
        Ok(json!({ "t": now_ms() }))
    }

    /// Lets this node have the network again, and dials those it knew when it began.
    pub(crate) async fn go_online(&self) -> anyhow::Result<Value> {
        self.gate.open()?;
        for peer in &self.peers {
            must(&self.handle, Command::Dial(peer.clone())).await?;
        }
        Ok(json!({ "t": now_ms() }))
    }

    /// Founds so many further groups with messages in them, and gives their links.
    pub(crate) async fn found_idle(&self, groups: usize) -> anyhow::Result<Value> {
        let mut links = Vec::new();
        for number in 0..groups {
            let words = found(&self.handle, &format!("idle {number}")).await?;
            for number in 0..IDLE_MESSAGES {
                must(&self.handle, send(words, self.writer, number)).await?;
            }
            links.push(invite(&self.handle, words).await?);
        }
        Ok(json!({ "tickets": links }))
    }

    /// Joins further groups.
    pub(crate) async fn join_idle(&self, links: &[String]) -> anyhow::Result<Value> {
        let mut notices = self.handle.notices();
        for link in links {
            join(&self.handle, &mut notices, link, &self.peers).await?;
        }
        Ok(json!({ "tickets": links }))
    }

    /// What the node counts, and what its journal takes on disk.
    pub(crate) async fn info(&self) -> anyhow::Result<Value> {
        let report = self.handle.report().await?;
        let flushes = report.flushes;
        let Reply::Documents(documents) = must(&self.handle, Command::Documents(self.group)).await? else {
            bail!("the documents were asked for and something else was answered");
        };
        let segments = || documents.iter().filter(|document| document.id.contains(":chat"));
        Ok(json!({
            "segments": segments().count(),
            "segments_in_memory": segments().filter(|segment| segment.is_in_memory).count(),
            "segment_bytes_max": segments().filter_map(|segment| segment.content_bytes).max(),
            "doc_bytes": folder_bytes(&self.home.join("journal"))?,
            "events": report.events,
            "envelopes_made": report.envelopes.made,
            "envelopes_received": report.envelopes.received,
            "flushes": flushes.count,
            "flush_us": flushes.total_us,
        }))
    }

    /// Stops the node in good order.
    pub(crate) async fn stop(&self) {
        self.handle.stop().await;
    }

    fn send(&self, number: u64) -> Command {
        send(self.group, self.writer, number)
    }
}

/// Starts a node and waits until it knows itself and listens.
async fn open(home: &Path) -> anyhow::Result<(Handle, Receiver<Notice>)> {
    let options = Options {
        home: home.to_owned(),
        listen: vec![LISTEN.to_owned()],
        bootstrap: Vec::new(),
        relays: Vec::new(),
        mdns: false,
        passphrase: None,
        naming: Naming::Test,
    };
    let (node, model) = daemon::start(options).await?;
    let handle = node.handle.clone();
    // As in any node, the copy of what was written is kept up to date meanwhile.
    tokio::spawn(Reading::start(Arc::new(handle.clone()), model)?.keep_up());
    let mut notices = handle.notices();
    tokio::spawn(async move {
        if let Err(error) = node.wait().await {
            eprintln!("the node ended: {error:#}");
            std::process::exit(1);
        }
    });
    while let Outcome::Refused(refusal) = handle.ask(Command::Status).await? {
        if refusal.code != RefusalCode::Pending {
            bail!("the node does not serve: {}", refusal.message);
        }
        notices.recv().await?;
    }
    handle.addresses_ready().await?;
    Ok((handle, notices))
}

/// The group of an earlier run.
async fn held(handle: &Handle) -> anyhow::Result<Option<EntityView>> {
    match must(handle, Command::Entities).await? {
        Reply::Entities(views) => Ok(views.into_iter().find(|view| view.name == "bench")),
        other => bail!("entities were asked for and {other:?} was answered"),
    }
}

async fn found(handle: &Handle, name: &str) -> anyhow::Result<FourWords> {
    let command = Command::Create { kind: Kind::Group, name: name.to_owned(), parent: None };
    match must(handle, command).await? {
        Reply::Entity(view) => Ok(view.words),
        other => bail!("a group was asked for and {other:?} was answered"),
    }
}

/// A link that carries the full id of the group and where this node listens.
async fn invite(handle: &Handle, words: FourWords) -> anyhow::Result<String> {
    let expires = WallTime(u64::MAX / 4);
    let command = Command::Invite {
        entity: words,
        role: Role::Member,
        uses: USES,
        expires,
        addresses: handle.addresses(),
    };
    match must(handle, command).await? {
        Reply::Invite(code) => Ok(code.link(&words)),
        other => bail!("an invite was asked for and {other:?} was answered"),
    }
}

/// Joins the group of a link, and waits until it is in.
async fn join(
    handle: &Handle,
    notices: &mut Receiver<Notice>,
    link: &str,
    peers: &[String],
) -> anyhow::Result<FourWords> {
    let (words, code) = InviteCode::from_link(link)?;
    let words: FourWords = words.parse()?;
    let peers = peers.iter().take(1).cloned().collect();
    match must(handle, Command::Join { words, by: JoinBy::Code(code), peers }).await? {
        Reply::Joined(_, JoinState::Joined) => return Ok(words),
        Reply::Joined(_, _) => {}
        other => bail!("a join was asked for and {other:?} was answered"),
    }
    while notices.recv().await? != Notice::Joined(words) {}
    Ok(words)
}

fn send(group: FourWords, writer: char, number: u64) -> Command {
    Command::Chat(group, ChatCommand::say(message::text(writer, number), None))
}

/// Asks for something that must succeed.
pub(crate) async fn must(handle: &Handle, command: Command) -> anyhow::Result<Reply> {
    match handle.ask(command).await? {
        Outcome::Done(reply) => Ok(reply),
        Outcome::Refused(refusal) => bail!("refused: {}", refusal.message),
    }
}

fn folder_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0_u64;
    for entry in std::fs::read_dir(folder)? {
        bytes = bytes.saturating_add(entry?.metadata()?.len());
    }
    Ok(bytes)
}
