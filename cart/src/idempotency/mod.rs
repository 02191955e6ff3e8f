//! `Idempotency-Key`: the same key and request gives the same answer.
//!
//! A key belongs to its user. An answer is stored in the transaction of the change that it reports, so both are there
//! or neither; errors are not stored, and leave the key free. Two requests with one key at the same time: in one
//! process the later one is refused by its [`Claims`]; in two processes the version of the cart lets one through, and
//! the other finds the stored answer, or the open checkout that has the key, when it reads the cart again.

mod claims;
mod key;
mod sweeper;

pub use claims::{Claim, Claims};
pub use key::{IdempotencyKey, KeyedRequest, StoredAnswer};
pub use sweeper::KeySweeper;
