//! Checks what must hold over the rows of running databases: `<service> verify`.
//!
//! A check writes nothing, takes no locks, and may run while services are working. Each database is
//! read as of one moment ([`Snapshot`]). Each service takes its snapshots in an order
//! that allows conclusions about rows of different databases. Intermediate states that a
//! protocol allows are reported as open, not as violations.

mod check;
mod report;
mod snapshot;

pub use check::Check;
pub use report::{Finding, Invariant, Report, TOLD_IDS};
pub use snapshot::{ReadError, Snapshot};
