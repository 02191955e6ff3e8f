//! How many connections a server holds at once. If all places are taken, a new connection replaces
//! the one that has been open longest without a complete request head or handshake. Silent clients
//! therefore cannot keep others out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

#[derive(Clone)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    /// New connections, in the order of their arrival. Dropping a sender closes its connection.
    silent: Arc<Mutex<VecDeque<oneshot::Sender<()>>>>,
}

/// The place of one connection. It is free again when this is dropped.
pub(super) struct Place {
    _counted: OwnedSemaphorePermit,
    /// Completes when the connection must close. `None` once a head or a handshake is complete.
    pub(super) evicted: Option<oneshot::Receiver<()>>,
}

impl Places {
    pub(crate) fn new(limit: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(limit)), silent: Arc::default() }
    }

    /// Waits for a place. If none is free, closes the oldest silent connection. `None` if the
    /// places are closed.
    pub(super) async fn take(&self) -> Option<Place> {
        let counted = if let Ok(counted) = Arc::clone(&self.free).try_acquire_owned() {
            counted
        } else {
            self.evict();
            Arc::clone(&self.free).acquire_owned().await.ok()?
        };
        let (keep, evicted) = oneshot::channel();
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        // Removes the connections at the front that have spoken or ended, so that the queue does
        // not grow.
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
                tracing::debug!(
                    "connection limit reached: closing the oldest connection that has not sent anything"
                );
                return;
            }
        }
    }
}
