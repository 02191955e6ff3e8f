//! A shard's replica, and whether it is recent enough to be read.

use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::queries;

/// How long an answer about the lag holds.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// A replica that is slower to answer is not read.
const CHECK_WITHIN: Duration = Duration::from_millis(500);

pub(super) struct Replica {
    pool: PgPool,
    max_lag: Duration,
    last_check: Mutex<Option<(Instant, bool)>>,
}

impl Replica {
    pub fn new(pool: PgPool, max_lag: Duration) -> Self {
        Self { pool, max_lag, last_check: Mutex::new(None) }
    }

    /// The replica's pool, while it answers and lags by less than the bound.
    pub async fn current(&self) -> Option<&PgPool> {
        let mut last_check = self.last_check.lock().await;
        let current = match *last_check {
            Some((at, current)) if at.elapsed() < CHECK_EVERY => current,
            _ => {
                let asked = queries::replica_is_current(&self.pool, self.max_lag);
                let current = matches!(timeout(CHECK_WITHIN, asked).await, Ok(Ok(true)));
                *last_check = Some((Instant::now(), current));
                current
            }
        };
        current.then_some(&self.pool)
    }
}
