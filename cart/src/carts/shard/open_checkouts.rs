//! The command that finds checkouts that were left open.

use std::time::Duration;

use shared_actors::actor::{BatchLimits, Command, Commit, one_by_one};

use super::super::{OpenCheckouts, queries};
use super::{CartShard, reported};
use crate::domain::CartError;

/// Count the checkouts that have been open for longer than `grace`, and find up to `limit` users
/// whose checkouts are due.
pub(super) struct FindOpenCheckouts {
    pub grace: Duration,
    pub limit: u32,
}

impl Command for FindOpenCheckouts {
    type Output = OpenCheckouts;
    type Error = CartError;
    const NAME: &'static str = "find_open_checkouts";
}

impl Commit<FindOpenCheckouts> for CartShard {
    fn limits(&self) -> BatchLimits {
        BatchLimits::ONE_BY_ONE
    }

    async fn commit(&self, batch: Vec<FindOpenCheckouts>) -> Vec<Result<OpenCheckouts, CartError>> {
        one_by_one(batch, async |FindOpenCheckouts { grace, limit }| {
            queries::open_checkouts(&self.pool, grace, limit).await.map_err(reported)
        })
        .await
    }
}
