//! Errors of `cart verify`.

use service_kit::shard::ShardIndex;
use service_kit::verify::ReadError;
use thiserror::Error;

use crate::app::IdentityError;

/// Why the invariants could not be checked.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// A database cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A database of cart is not the shard that the settings make it. cart would not start with it
    /// either.
    #[error("{0}")]
    Refused(String),
    /// A database was never prepared by its service.
    #[error("{database} is not prepared: run `{service} migrate`, then start {service} once")]
    Unprepared {
        /// What the database is called.
        database: String,
        /// The service that prepares it.
        service: &'static str,
    },
    /// loms has more shards than the settings name.
    #[error("loms has {known} shards, but the settings LOMS_DATABASE_MASTER_* name {shards}")]
    MissingShards {
        /// How many shards loms has.
        known: i32,
        /// How many the settings name.
        shards: usize,
    },
    /// A database of loms is another shard than its setting says.
    #[error(
        "{database} holds the orders of shard {found} of loms: check the settings LOMS_DATABASE_MASTER_*"
    )]
    OtherShard {
        /// What the database is called.
        database: String,
        /// Which shard it is.
        found: ShardIndex,
    },
}

impl From<IdentityError> for VerifyError {
    fn from(error: IdentityError) -> Self {
        Self::Refused(error.to_string())
    }
}
