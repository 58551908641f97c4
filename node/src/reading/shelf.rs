//! The thread of the copy: SQLite blocks, so it is asked from elsewhere and answers there.
//!
//! Invariant: the thread is gone when the last clone is, and so before the process ends: what the copy
//! is sealed with cleans up after itself then, and must not be in use.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use fourword_storage::StoreError;
use fourword_storage::read_model::ReadModel;
use tokio::sync::{mpsc, oneshot};

use super::Trouble;
use crate::api::error::{Code, Problem};
use crate::limits::READINGS_MAX;

type Job = Box<dyn FnOnce(&mut ReadModel) + Send>;

/// Where the copy is asked and fed.
#[derive(Clone)]
pub(super) struct Shelf(Arc<Thread>);

struct Thread {
    /// None once it is to end.
    jobs: Option<mpsc::Sender<Job>>,
    run: Option<JoinHandle<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // A job that panicked has ended it before.
        drop(self.run.take().map(JoinHandle::join));
    }
}

impl Shelf {
    pub(super) fn start(mut model: ReadModel) -> io::Result<Shelf> {
        let (jobs, mut given) = mpsc::channel::<Job>(READINGS_MAX);
        let run = move || {
            while let Some(job) = given.blocking_recv() {
                job(&mut model);
            }
        };
        let run = std::thread::Builder::new().name("reading".to_owned()).spawn(run)?;
        Ok(Shelf(Arc::new(Thread { jobs: Some(jobs), run: Some(run) })))
    }

    /// Has the thread do something with the copy, after all that was asked before.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut ReadModel) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Trouble> {
        let (answer, answered) = oneshot::channel();
        // Fails if the asker has given up waiting.
        let job = Box::new(move |model: &mut ReadModel| drop(answer.send(act(model))));
        let jobs = self.0.jobs.as_ref().ok_or_else(ended)?;
        jobs.send(job).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?.map_err(Trouble::Failed)
    }
}

fn ended() -> Problem {
    Problem::new(Code::Internal, "the thread that reads chats has ended", "restart the node")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_lets_go_of_the_copy_last_waits_until_its_thread_has_ended() {
        let shelf = Shelf::start(ReadModel::in_memory().unwrap()).unwrap();
        let (other, is_done) = (shelf.clone(), Arc::new(AtomicBool::new(false)));
        let done = is_done.clone();
        let job: Job = Box::new(move |_| {
            std::thread::sleep(Duration::from_millis(50));
            done.store(true, Ordering::Release);
        });
        assert!(shelf.0.jobs.as_ref().unwrap().blocking_send(job).is_ok());
        drop(shelf);
        drop(other);
        assert!(is_done.load(Ordering::Acquire) && Arc::strong_count(&is_done) == 1);
    }
}
