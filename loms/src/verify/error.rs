//! Errors of `loms verify`.

use service_kit::shard::ShardIndex;
use service_kit::verify::ReadError;
use thiserror::Error;

use crate::app::ShardError;

/// Why the invariants could not be checked.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// A database cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
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
