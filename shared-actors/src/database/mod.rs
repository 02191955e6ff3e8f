//! `PostgreSQL` as every service uses it: bounded pools, a start that waits and migrates, errors by class.
//!
//! No statement of any domain lives here.

mod error;
mod observe;
mod pool;
mod pool_metrics;
mod prepare;
mod watch;

pub use error::DatabaseError;
pub use observe::{observe, observe_alone};
pub use pool::{PoolSettings, STATEMENT_TIMEOUT, connect_options, pool};
pub use pool_metrics::show_pool;
pub use prepare::{Migrations, PrepareError, migrate_now, prepare};
pub use watch::watch;
