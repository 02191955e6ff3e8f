//! Which connections to a server may still be used, decided without asking over each of them.
//!
//! A connection can become useless unnoticed: a firewall drops it, or the server behind it becomes
//! read-only. Anything that one connection, or the watch over the server, finds out applies to all
//! connections opened before.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// The minimum time between two condemnations. Until a read-only server can be written again, each
/// new session costs it a login.
const CONDEMN_INTERVAL: Duration = Duration::from_millis(250);

/// What is known about the connections to one server.
#[derive(Debug)]
pub(super) struct Trust {
    /// Connections opened before this moment are closed instead of used.
    condemned: Mutex<Option<Instant>>,
    /// Statements that were running at this moment are given up: a new session worked where an old
    /// one did not answer.
    given_up: watch::Sender<Option<Instant>>,
    /// Connections that last answered before this moment are pinged before they are used again.
    suspected: Mutex<Option<Instant>>,
    /// Why the server is unreachable; `None` unless it is known to be.
    unreachable: watch::Sender<Option<String>>,
}

/// What to do with a connection before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Use,
    Ask,
    Close,
}

impl Trust {
    pub fn new() -> Self {
        Self {
            condemned: Mutex::default(),
            given_up: watch::Sender::new(None),
            suspected: Mutex::default(),
            unreachable: watch::Sender::new(None),
        }
    }

    /// Condemns all connections opened before now, because one of them is dead or useless.
    pub fn condemn(&self) {
        let now = Instant::now();
        let mut condemned = self.condemned.lock().unwrap_or_else(PoisonError::into_inner);
        if condemned.is_none_or(|last| now.duration_since(last) >= CONDEMN_INTERVAL) {
            *condemned = Some(now);
        }
    }

    /// Condemns all connections opened before now, and gives up the statements that run on them.
    pub fn give_up(&self) {
        let now = Instant::now();
        *self.condemned.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        self.given_up.send_replace(Some(now));
    }

    /// Suspects all connections, because one was lost.
    pub fn suspect(&self) {
        *self.suspected.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// What to do with a connection that was opened at `opened` and last answered at `answered`.
    pub fn verdict(&self, opened: Instant, answered: Instant) -> Verdict {
        let condemned = *self.condemned.lock().unwrap_or_else(PoisonError::into_inner);
        if condemned.is_some_and(|condemned| opened < condemned) {
            return Verdict::Close;
        }
        let suspected = *self.suspected.lock().unwrap_or_else(PoisonError::into_inner);
        if suspected.is_some_and(|suspected| answered < suspected) {
            Verdict::Ask
        } else {
            Verdict::Use
        }
    }

    /// Waits until connections that were in use at `used` are given up.
    pub async fn until_given_up(&self, used: Instant) {
        let mut given_up = self.given_up.subscribe();
        let later = given_up.wait_for(|given_up| given_up.is_some_and(|given_up| used < given_up));
        // The sender lives as long as `self`.
        let _ = later.await;
    }

    /// Records that the server answers.
    pub fn reachable(&self) {
        self.unreachable.send_if_modified(|unreachable| unreachable.take().is_some());
    }

    /// Records that the server does not answer, so that no statement waits for a connection to it.
    pub fn unreachable(&self, reason: &str) {
        self.unreachable.send_replace(Some(reason.to_owned()));
    }

    /// Why the server is unreachable, if it is known to be.
    pub fn why_unreachable(&self) -> Option<String> {
        self.unreachable.borrow().clone()
    }

    /// Waits until the server is known to be unreachable, and returns the reason.
    pub async fn until_unreachable(&self) -> String {
        let mut unreachable = self.unreachable.subscribe();
        match unreachable.wait_for(Option::is_some).await.map(|reason| reason.clone()) {
            Ok(Some(reason)) => reason,
            // The sender lives as long as `self`.
            _ => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_out_over_one_connection_holds_for_the_others() {
        let trust = Trust::new();
        let old = Instant::now();
        assert_eq!(trust.verdict(old, old), Verdict::Use);
        trust.suspect();
        assert_eq!(trust.verdict(old, old), Verdict::Ask);
        assert_eq!(trust.verdict(old, Instant::now()), Verdict::Use, "it has answered since");
        trust.condemn();
        assert_eq!(trust.verdict(old, Instant::now()), Verdict::Close);
        let new = Instant::now();
        assert_eq!(trust.verdict(new, new), Verdict::Use);
    }

    #[test]
    fn connections_are_condemned_again_only_after_a_while() {
        let trust = Trust::new();
        trust.condemn();
        let new = Instant::now();
        trust.condemn();
        assert_eq!(trust.verdict(new, new), Verdict::Use);
    }
}
