//! Errors of `loms verify`.

use service_kit::shard::ShardIndex;
use thiserror::Error;

use crate::app::ShardError;

/// Why the invariants could not be checked.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// A database is unreachable, is not migrated, or refuses a statement.
    #[error("shard {shard} cannot be read: {source}")]
    Read {
        /// The shard.
        shard: ShardIndex,
        /// The error of the database.
        source: sqlx::Error,
    },
    /// A database did not answer in time.
    #[error("shard {shard} cannot be read: no answer in time")]
    Silent {
        /// The shard.
        shard: ShardIndex,
    },
    /// A database was never prepared by loms.
    #[error("the database of shard {shard} is not prepared: run loms migrate")]
    Unprepared {
        /// The shard.
        shard: ShardIndex,
    },
    /// The settings do not match the shards. loms would not start with them either.
    #[error(transparent)]
    Refused(#[from] ShardError),
}
