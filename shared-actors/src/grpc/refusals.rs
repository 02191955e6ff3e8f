//! The pace of refusals. A refusal costs its client next to nothing, and us as much as a good part of an answer: clients
//! that come again at once, whatever they are told, would take the time in which others are served. So refusals go out
//! at once while they are few, and are held back a little while they are many; a client has no more than its streams,
//! and comes again only when one of them is free.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_millis(100);
/// So many refusals of a window go out at once.
const AT_ONCE: u32 = 100;
/// How long the others are held back: less than the time after which any client is asked to come again.
const HELD_BACK: Duration = Duration::from_millis(250);

/// Counts the refusals of a server.
pub(super) struct Refusals(Mutex<Window>);

struct Window {
    since: Instant,
    refused: u32,
}

impl Refusals {
    pub fn new() -> Self {
        Self(Mutex::new(Window { since: Instant::now(), refused: 0 }))
    }

    /// When a refusal of `now` goes out.
    pub fn due(&self, now: Instant) -> Instant {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(window.since) >= WINDOW {
            *window = Window { since: now, refused: 0 };
        }
        window.refused = window.refused.saturating_add(1);
        if window.refused > AT_ONCE { now + HELD_BACK } else { now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_refusals_go_out_at_once_and_many_are_held_back() {
        let (refusals, start) = (Refusals::new(), Instant::now());
        for _ in 0..AT_ONCE {
            assert_eq!(refusals.due(start), start);
        }
        assert_eq!(refusals.due(start), start + HELD_BACK);
        let later = start + 2 * WINDOW;
        assert_eq!(refusals.due(later), later);
    }
}
