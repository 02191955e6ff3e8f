//! Errors of `notifier verify`.

use service_kit::shard::ShardIndex;
use service_kit::verify::ReadError;
use thiserror::Error;

/// Why the invariants could not be checked.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// A database cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Kafka does not answer.
    #[error("the offsets of the consumer group cannot be read: {0}")]
    Kafka(String),
    /// A database of loms was never prepared.
    #[error("the database of shard {shard} of loms is not prepared: start loms once")]
    Unprepared {
        /// The shard.
        shard: ShardIndex,
    },
    /// A database of loms is not the shard that its setting names, or shards are missing.
    #[error(
        "the database of shard {shard} of loms holds shard {found} of {known}, but the settings LOMS_DATABASE_MASTER_* name {named} shards"
    )]
    OtherShards {
        /// Which shard it should be.
        shard: ShardIndex,
        /// Which shard it is.
        found: i32,
        /// How many shards loms has.
        known: i32,
        /// How many the settings name.
        named: usize,
    },
}
