//! The right to publish a shard's events: an advisory lock that is bound to one connection.
//!
//! A killed process loses the lease with its connection. A frozen process loses it when the server
//! ends the idle session. A statement that is not answered in time counts as a loss, and its
//! connection is dropped. The holder changes the outbox only over this connection, so after a loss
//! it can change nothing.

use std::io::ErrorKind;
use std::time::Duration;

use service_kit::database::connect_options;
use service_kit::settings::DatabaseSettings;
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::metrics::RelayMetrics;
use super::queries::{self, Backlog};

/// How often an idle session sends a statement to stay alive.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long the server waits for a session that sends nothing, or does not acknowledge what it was
/// sent.
const SILENCE: &str = "5s";
const STATEMENT_TIMEOUT: &str = "4s";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that holds the lease, or waits for it.
pub(super) struct Lease {
    connection: PgConnection,
}

impl Lease {
    /// Opens a connection that can take the lease.
    pub async fn connect(database: &DatabaseSettings) -> Result<Self, sqlx::Error> {
        let options = connect_options(database, "loms relay").options([
            ("idle_session_timeout", SILENCE),
            ("tcp_user_timeout", SILENCE),
            // Shorter than the relay waits: the session of a relay that has given up holds the lease.
            ("statement_timeout", STATEMENT_TIMEOUT),
            // The session only deletes rows, and before that records the events that are set aside.
            // If a crash of the server undoes its last commits, some events are published again.
            ("synchronous_commit", "off"),
            // The session only looks up a few rows by index. A plan made while the tables were
            // empty would use full scans, and would be kept as the tables grow.
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
        ]);
        let connected = timeout(CONNECT_TIMEOUT, options.connect()).await;
        let connection = connected.map_err(|_| sqlx::Error::Io(ErrorKind::TimedOut.into()))??;
        Ok(Self { connection })
    }

    /// Takes the lease, unless another session holds it.
    pub async fn take(&mut self) -> Result<bool, sqlx::Error> {
        queries::take_lease(&mut self.connection).await
    }

    /// The connection, for statements that only the holder may send.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Runs `work` while keeping the session alive.
    ///
    /// # Errors
    /// Fails if the lease is lost. `work` is then dropped, which does not undo what it has already
    /// done elsewhere.
    pub async fn hold_while<T>(
        &mut self,
        metrics: &RelayMetrics,
        work: impl Future<Output = T>,
    ) -> Result<T, sqlx::Error> {
        let mut beats = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                _ = beats.tick() => self.measure(metrics).await?,
            }
        }
    }

    /// Updates the backlog metrics. The statement also keeps the session alive.
    pub async fn measure(&mut self, metrics: &RelayMetrics) -> Result<(), sqlx::Error> {
        let Backlog { events, oldest_age } = queries::measure(&mut self.connection).await?;
        metrics.waiting(events, oldest_age);
        Ok(())
    }

    /// Releases the lease at once by closing the connection.
    pub async fn close(self) {
        match timeout(CONNECT_TIMEOUT, self.connection.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, "the relay's connection was not closed cleanly");
            }
            Err(_) => tracing::debug!("the relay's connection was not closed in time"),
        }
    }
}
