//! The right to publish a shard's events: a lock that lives and dies with one connection.
//!
//! Whoever is killed loses it with the connection; whoever freezes loses it when the server ends the silent session.
//! A statement that is not answered in time counts as a loss: its connection is dropped.
//! All that the holder does to the outbox goes over this very connection, so that after a loss it can do no more.

use std::io::ErrorKind;
use std::time::Duration;

use shared_actors::database::{STATEMENT_TIMEOUT, connect_options};
use shared_actors::settings::DatabaseSettings;
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::metrics::RelayMetrics;
use super::queries;

/// How often a session that waits says that it lives.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long the server waits for a session that says nothing, or that does not take what it was sent.
const SILENCE: &str = "5s";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that holds the lease, or waits for it.
pub(super) struct Lease {
    connection: PgConnection,
}

impl Lease {
    /// A connection that may ask for the lease.
    pub async fn connect(database: &DatabaseSettings) -> Result<Self, sqlx::Error> {
        let options = connect_options(database, "loms relay").options([
            ("idle_session_timeout", SILENCE),
            ("tcp_user_timeout", SILENCE),
            ("statement_timeout", &STATEMENT_TIMEOUT.as_millis().to_string()),
            // All that it writes are deletions: one that a crash of the server undoes publishes some events again.
            ("synchronous_commit", "off"),
            // It only ever looks up a few rows by index. A plan that was made while the tables were empty, with scans of
            // whole tables, would be kept while they grow.
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
        ]);
        let connected = timeout(CONNECT_TIMEOUT, options.connect()).await;
        let connection = connected.map_err(|_| sqlx::Error::Io(ErrorKind::TimedOut.into()))??;
        Ok(Self { connection })
    }

    /// Takes the lease unless another session has it.
    pub async fn take(&mut self) -> Result<bool, sqlx::Error> {
        queries::take_lease(&mut self.connection).await
    }

    /// The connection, for statements that only the holder may send.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Does `work` while the session says that it lives.
    ///
    /// # Errors
    /// When the lease is lost. The work is dropped then, which does not undo what it has begun elsewhere.
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

    /// Shows how much waits, which also says that the session lives.
    pub async fn measure(&mut self, metrics: &RelayMetrics) -> Result<(), sqlx::Error> {
        let (events, oldest_age_seconds) = queries::measure(&mut self.connection).await?;
        metrics.waiting(events, oldest_age_seconds);
        Ok(())
    }

    /// Gives the lease back at once.
    pub async fn close(self) {
        match timeout(CONNECT_TIMEOUT, self.connection.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the relay's connection was not closed in good order"),
            Err(_) => tracing::debug!("the relay's connection was not closed in time"),
        }
    }
}
