//! The thread of the copy: SQLite blocks, so it is asked from elsewhere and answers there.

use std::io;

use fourword_storage::StoreError;
use fourword_storage::read_model::ReadModel;
use tokio::sync::{mpsc, oneshot};

use super::Trouble;
use crate::api::error::{Code, Problem};
use crate::limits::READINGS_MAX;

type Job = Box<dyn FnOnce(&mut ReadModel) + Send>;

/// Where the copy is asked and fed. The thread ends when no clone is left.
#[derive(Clone)]
pub(super) struct Shelf(mpsc::Sender<Job>);

impl Shelf {
    pub(super) fn start(mut model: ReadModel) -> io::Result<Shelf> {
        let (jobs, mut given) = mpsc::channel::<Job>(READINGS_MAX);
        let run = move || {
            while let Some(job) = given.blocking_recv() {
                job(&mut model);
            }
        };
        std::thread::Builder::new().name("reading".to_owned()).spawn(run)?;
        Ok(Shelf(jobs))
    }

    /// Has the thread do something with the copy, after all that was asked before.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut ReadModel) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Trouble> {
        let (answer, answered) = oneshot::channel();
        // Fails if the asker has given up waiting.
        let job = Box::new(move |model: &mut ReadModel| drop(answer.send(act(model))));
        self.0.send(job).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?.map_err(Trouble::Failed)
    }
}

fn ended() -> Problem {
    Problem::new(Code::Internal, "the thread that reads chats has ended", "restart the node")
}
