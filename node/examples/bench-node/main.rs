//! A node for measurements: one process, asked and answering in JSON lines on its standard streams.
//!
//! It prints `{"ev":"up"}`, then answers each request under the request's number; requests may
//! overlap. `fourword-tests` has the driver (`tests/bench`), and any other driver that speaks the
//! same lines can put another system beside it. The end of the input ends the process at once, as
//! does a kill: what was acknowledged is on disk.

mod clock;
mod gate;
mod member;
mod message;
mod output;
mod request;
mod seen;
mod text;

use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::sync::{OnceCell, mpsc};

use crate::member::Member;
use crate::output::print;
use crate::request::{Op, Request};

/// Requests that were read and not begun.
const REQUESTS_MAX: usize = 64;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (requests, taken) = mpsc::channel(REQUESTS_MAX);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if requests.blocking_send(line).is_err() {
                return;
            }
        }
    });
    runtime.block_on(serve(taken));
    // Not dropped, which would wait for the node.
    runtime.shutdown_background();
    Ok(())
}

/// Begins each request as it comes, until the input ends or the node is asked to.
async fn serve(mut requests: mpsc::Receiver<String>) {
    let member: Arc<OnceCell<Member>> = Arc::default();
    print(&json!({ "ev": "up" }));
    while let Some(line) = requests.recv().await {
        match serde_json::from_str(&line) {
            Ok(Request { number, op: Op::Quit }) => {
                if let Some(member) = member.get() {
                    member.stop().await;
                }
                print(&json!({ "re": number }));
                return;
            }
            Ok(Request { number, op }) => {
                let member = Arc::clone(&member);
                tokio::spawn(async move {
                    let mut answer = match carry_out(&member, op).await {
                        Ok(answer) => answer,
                        Err(error) => json!({ "error": format!("{error:#}") }),
                    };
                    if let Some(fields) = answer.as_object_mut() {
                        fields.insert("re".to_owned(), number.into());
                    }
                    print(&answer);
                });
            }
            Err(error) => eprintln!("not understood: {error}: {line}"),
        }
    }
}

/// Does what was asked and gives the answer's fields.
async fn carry_out(cell: &OnceCell<Member>, op: Op) -> anyhow::Result<Value> {
    let op = match op {
        Op::Init { writer, dir, peers, doc } => {
            let dir = dir.context("give a directory: this node keeps everything on disk")?;
            let (started, answer) = Member::start(dir, writer, peers, doc).await?;
            if cell.set(started).is_err() {
                bail!("the node runs already");
            }
            return Ok(answer);
        }
        op => op,
    };
    let member = cell.get().context("the node was not started")?;
    match op {
        Op::Put { i } => member.put(i).await,
        Op::Burst { from, n } => member.burst(from, n).await,
        Op::Each { on } => {
            member.seen.set_each(on);
            Ok(json!({}))
        }
        Op::Expect { n } => Ok(json!({ "t": member.seen.expect(n).await? })),
        Op::Has { w, i } => Ok(member.has(w, i).await),
        Op::Trace { file } => member.text().write(&file).await,
        Op::ExpectText { len, sha } => Ok(json!({ "t": member.text().expect(len, &sha).await? })),
        Op::Offline => member.go_offline(),
        Op::Online => member.go_online().await,
        Op::Idle { docs, tickets: None } => member.found_idle(docs / 2).await,
        Op::Idle { tickets: Some(links), .. } => member.join_idle(&links).await,
        Op::Info => member.info().await,
        // Both are carried out before they come here.
        Op::Init { .. } | Op::Quit => Ok(json!({})),
    }
}
