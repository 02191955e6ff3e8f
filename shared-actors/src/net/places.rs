//! How many connections a server holds at once. When all places are taken, a newcomer gets the place of the connection
//! that has been open longest without saying anything: silent strangers cannot keep others out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

#[derive(Clone)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    /// The newcomers, in the order in which they came. Dropping a sender closes its connection.
    silent: Arc<Mutex<VecDeque<oneshot::Sender<()>>>>,
}

/// A place of a connection, which is free again when this is dropped.
pub(super) struct Place {
    _counted: OwnedSemaphorePermit,
    /// Answers when the connection has to go; `None` once it has said something.
    pub(super) evicted: Option<oneshot::Receiver<()>>,
}

impl Places {
    pub(crate) fn new(limit: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(limit)), silent: Arc::default() }
    }

    /// Waits for a place, and closes a silent connection when there is none. `None` when the server has ended.
    pub(super) async fn take(&self) -> Option<Place> {
        let counted = if let Ok(counted) = Arc::clone(&self.free).try_acquire_owned() {
            counted
        } else {
            self.evict();
            Arc::clone(&self.free).acquire_owned().await.ok()?
        };
        let (keep, evicted) = oneshot::channel();
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        // Those in front that have spoken or gone leave the queue here, so that it does not grow.
        while silent.front().is_some_and(oneshot::Sender::is_closed) {
            silent.pop_front();
        }
        silent.push_back(keep);
        Some(Place { _counted: counted, evicted: Some(evicted) })
    }

    fn evict(&self) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(longest) = silent.pop_front() {
            if !longest.is_closed() {
                tracing::debug!("all places are taken: the connection that was silent longest is closed");
                return;
            }
        }
    }
}
