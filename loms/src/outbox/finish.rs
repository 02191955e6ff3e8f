//! The end of a relay: asked for once, waited for everywhere.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// Since when a relay is to end, if it is.
pub(super) struct Finish(watch::Sender<Option<Instant>>);

impl Finish {
    pub fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    pub fn ask(&self) {
        self.0.send_if_modified(|since| since.replace(Instant::now()).is_none());
    }

    pub fn is_asked(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Whether it was asked for longer ago than `limit`.
    pub fn is_overdue(&self, limit: Duration) -> bool {
        self.0.borrow().is_some_and(|since| since.elapsed() > limit)
    }

    pub async fn asked(&self) {
        // The sender is our own: waiting cannot fail.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }

    /// Returns when it is asked for, after `limit` at the latest.
    pub async fn rest(&self, limit: Duration) {
        let _ = timeout(limit, self.asked()).await;
    }

    /// The result of `work`; `None` when it is asked for and `work` is not done `grace` later.
    pub async fn or<T>(&self, grace: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = async { self.asked().await; sleep(grace).await } => None,
        }
    }
}
