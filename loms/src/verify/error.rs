//! Why the databases could not be verified.

use shared_actors::shard::ShardIndex;
use thiserror::Error;

use crate::app::ShardError;

/// Why nothing can be said about the invariants.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// A database is away, is not migrated, or refuses a statement.
    #[error("shard {shard} cannot be read: {source}")]
    Read {
        /// The shard.
        shard: ShardIndex,
        /// Why.
        source: sqlx::Error,
    },
    /// A database does not answer.
    #[error("shard {shard} cannot be read: no answer in time")]
    Silent {
        /// The shard.
        shard: ShardIndex,
    },
    /// A database was never used by a loms.
    #[error("the database of shard {shard} is not prepared: run loms migrate")]
    Unprepared {
        /// The shard.
        shard: ShardIndex,
    },
    /// The settings do not name the shards as they are: what loms would not start with is not judged either.
    #[error(transparent)]
    Refused(#[from] ShardError),
}
