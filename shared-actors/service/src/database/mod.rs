//! `PostgreSQL` as every service uses it: bounded pools, a startup that waits and migrates, and
//! errors by class.
//!
//! The statements of the domains live elsewhere.

mod at_work;
mod error;
#[cfg(test)]
mod faults;
mod lease;
mod numbers;
mod observe;
mod owner;
mod places;
mod pool;
mod pool_metrics;
mod prepare;
mod probe;
mod session;
mod trust;
mod unreadable;
mod watch;

pub use error::DatabaseError;
pub use lease::Transaction;
pub use numbers::Numbers;
pub use observe::observe;
pub use places::{JoinError, Place, Places, ShardRecords};
pub use pool::{Pool, PoolSettings, STATEMENT_TIMEOUT, connect_options};
pub use pool_metrics::show_pool;
pub use prepare::{Migrations, PrepareError, migrate_now, prepare};
pub use probe::Probe;
pub use unreadable::unreadable_rows;
pub use watch::watch;
