//! Consistent reads of one database each, and what their order says about rows of different ones.
//!
//! A snapshot is a read-only transaction at REPEATABLE READ: it sees what was committed when it began, and locks nothing.
//! Those of a round are taken one after the other, all orders, then the stock, then all orders again. Every step of the
//! protocol waits for the commit of the one before, so a step that one snapshot shows was preceded by all that leads up to it
//! in every later one.

use std::time::Duration;

use futures::future::try_join_all;
use shared_actors::database::connect_options;
use shared_actors::settings::DatabaseSettings;
use shared_actors::shard::{ShardIndex, ShardRouter};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection};
use tokio::time::timeout;

use super::error::VerifyError;
use super::queries::{self, Place};
use crate::app::identity;
use crate::settings::Settings;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A full scan of a large table takes its time; a server that says nothing for longer is away.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(10);
const ANSWER_TIMEOUT: Duration = STATEMENT_TIMEOUT.saturating_add(Duration::from_secs(5));

/// How long a snapshot may wait for its turn. One that is left behind by a process that froze would keep the server from
/// cleaning up what was changed since.
const IDLE_TIMEOUT: Duration = Duration::from_hours(1);

/// A database as it was at one moment.
pub(super) struct Snapshot {
    pub shard: ShardIndex,
    connection: PgConnection,
}

impl Snapshot {
    /// Connects, and begins a transaction that sees nothing yet: its first statement decides what.
    async fn connect(shard: ShardIndex, settings: &DatabaseSettings) -> Result<Self, VerifyError> {
        let options = connect_options(settings, "loms verify").options([
            ("statement_timeout", STATEMENT_TIMEOUT.as_millis().to_string().as_str()),
            ("idle_in_transaction_session_timeout", &IDLE_TIMEOUT.as_millis().to_string()),
            ("default_transaction_read_only", "on"),
        ]);
        let connection = timeout(CONNECT_TIMEOUT, options.connect())
            .await
            .map_err(|_| VerifyError::Silent { shard })?
            .map_err(|source| VerifyError::Read { shard, source })?;
        let mut snapshot = Self { shard, connection };
        snapshot.read(async |connection| queries::begin(connection).await).await?;
        Ok(snapshot)
    }

    /// Sends statements.
    ///
    /// # Errors
    /// What the database says; `Silent` when it says nothing.
    pub async fn read<T>(
        &mut self,
        statements: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, VerifyError> {
        let shard = self.shard;
        match timeout(ANSWER_TIMEOUT, statements(&mut self.connection)).await {
            Ok(result) => result.map_err(|source| VerifyError::Read { shard, source }),
            Err(_) => Err(VerifyError::Silent { shard }),
        }
    }

    /// Fixes what is seen: all that is committed now. Answers what the database knows of its place.
    async fn fix(&mut self) -> Result<Place, VerifyError> {
        self.read(queries::place).await
    }

    /// Closes in good order, which ends the transaction; a connection that is dropped does so too.
    async fn close(self) {
        let _ = timeout(CONNECT_TIMEOUT, self.connection.close()).await;
    }
}

/// The snapshots of one round, in the order in which they were taken.
pub(super) struct Round {
    pub router: ShardRouter,
    pub before: Vec<Snapshot>,
    pub stock: Snapshot,
    pub after: Vec<Snapshot>,
}

impl Round {
    /// Connects first, so that there is as little time between the snapshots as can be.
    pub async fn begin(settings: &Settings) -> Result<Self, VerifyError> {
        let shards = || settings.router.all().zip(&settings.shards);
        let orders = || try_join_all(shards().map(|(index, shard)| Snapshot::connect(index, &shard.primary)));
        let stock_shard = crate::app::STOCK_SHARD;
        let stock = Snapshot::connect(stock_shard, &settings.shards[stock_shard.index()].primary);
        let (mut before, mut stock, mut after) = futures::try_join!(orders(), stock, orders())?;

        are_the_shards(&try_join_all(before.iter_mut().map(Snapshot::fix)).await?)?;
        stock.fix().await?;
        try_join_all(after.iter_mut().map(Snapshot::fix)).await?;
        Ok(Self { router: settings.router, before, stock, after })
    }

    pub async fn end(self) {
        let all = self.before.into_iter().chain([self.stock]).chain(self.after);
        futures::future::join_all(all.map(Snapshot::close)).await;
    }
}

/// Refuses databases that are not all the shards, in their order, as a start does.
fn are_the_shards(places: &[Place]) -> Result<(), VerifyError> {
    let known = places.iter().map(|place| place.known_shards).max().unwrap_or_default();
    let identities: Vec<Option<i32>> = places.iter().map(|place| place.shard).collect();
    identity::check(known, &identities)?;
    match (0..).map(ShardIndex::new).zip(&identities).find(|(_, identity)| identity.is_none()) {
        Some((shard, _)) => Err(VerifyError::Unprepared { shard }),
        None => Ok(()),
    }
}
