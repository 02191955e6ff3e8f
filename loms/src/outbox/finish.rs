//! The request to end a relay: set once, awaited in several places.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// When the relay was asked to end, if it was.
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

    /// Whether the end was requested more than `limit` ago.
    pub fn is_overdue(&self, limit: Duration) -> bool {
        self.0.borrow().is_some_and(|since| since.elapsed() > limit)
    }

    pub async fn asked(&self) {
        // This cannot fail: `self` owns the sender.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }

    /// Returns when the end is requested, or after `limit`.
    pub async fn rest(&self, limit: Duration) {
        let _ = timeout(limit, self.asked()).await;
    }

    /// Returns the result of `work`. Returns `None` if the end is requested and `work` takes more
    /// than `grace` after that.
    pub async fn or<T>(&self, grace: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = async { self.asked().await; sleep(grace).await } => None,
        }
    }
}
