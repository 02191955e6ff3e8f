//! `Idempotency-Key`: the same key and request get the same answer.
//!
//! A key belongs to one user. An answer is stored in the same transaction as its change, so both
//! exist or neither does. Errors are not stored, and leave the key free.
//!
//! Two requests may come with one key at the same time. Within a process, [`Claims`] refuses the
//! later one. Across processes, the version of the cart lets only one succeed. The other reads the
//! cart again, and finds the stored answer or the open checkout with that key.

mod claims;
mod key;
mod sweeper;

pub use claims::{Claim, Claims};
pub use key::{IdempotencyKey, KeyedRequest, StoredAnswer};
pub use sweeper::KeySweeper;
