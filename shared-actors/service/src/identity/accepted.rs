//! The tokens that were accepted lately, because checking a signature costs more than most requests.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use lru::LruCache;
use tokio::time::Instant;

use super::Caller;

/// The maximum number of tokens. Each may have 8 KiB, and usually has less than 1.
const CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Tokens and their callers.
pub(super) struct Accepted(Mutex<LruCache<Box<str>, Entry>>);

struct Entry {
    caller: Caller,
    /// In seconds since 1970, with the permitted skew of clocks.
    expires: f64,
    /// When the keys were read that the token was checked with.
    keys_of: Instant,
}

impl Accepted {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }

    /// The caller with this token, if it was accepted with the same keys and has not expired.
    pub(super) fn find(&self, token: &str, keys_of: Instant) -> Option<Caller> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(token)?;
        (entry.keys_of == keys_of && now() < entry.expires).then(|| entry.caller.clone())
    }

    pub(super) fn keep(&self, token: &str, caller: Caller, expires: f64, keys_of: Instant) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.put(token.into(), Entry { caller, expires, keys_of });
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(f64::MAX, |since| since.as_secs_f64())
}
