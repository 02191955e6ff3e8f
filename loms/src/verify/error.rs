//! Why the databases could not be verified.

use shared_actors::shard::ShardIndex;
use thiserror::Error;

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
    /// It is another shard: every order in it would be called misplaced.
    #[error(
        "the database of shard {wanted} belongs to shard {found}: check the order of DATABASE_MASTER_HOST_PORT_k"
    )]
    WrongShard {
        /// The number by which it is configured.
        wanted: ShardIndex,
        /// The number that it was first used by.
        found: i32,
    },
}
