//! Consistent reads of one database each, and the conclusions that their order allows about rows of
//! different databases.
//!
//! A snapshot is a read-only transaction at REPEATABLE READ. It sees what was committed when it
//! began, and takes no locks. The snapshots of a round are taken one after the other: all orders,
//! then the stock, then all orders again. Every step of the protocol waits for the commit of the
//! previous step. So if one snapshot shows a step, every later snapshot shows all the steps before
//! it.

use std::time::Duration;

use futures::future::try_join_all;
use service_kit::database::connect_options;
use service_kit::settings::DatabaseSettings;
use service_kit::shard::{ShardIndex, ShardRouter};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection};
use tokio::time::timeout;

use super::error::VerifyError;
use super::queries::{self, Place};
use crate::app::identity;
use crate::settings::Settings;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A full scan of a large table takes time. A server that does not answer for longer counts as
/// unreachable.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(10);
const ANSWER_TIMEOUT: Duration = STATEMENT_TIMEOUT.saturating_add(Duration::from_secs(5));

/// How long a snapshot may wait for its turn. A snapshot of a frozen process would keep the server
/// from vacuuming rows that changed since.
const IDLE_TIMEOUT: Duration = Duration::from_hours(1);

/// A database as of one moment.
pub(super) struct Snapshot {
    pub shard: ShardIndex,
    connection: PgConnection,
}

impl Snapshot {
    /// Connects and begins a transaction. Its first statement fixes the snapshot.
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

    /// Runs statements.
    ///
    /// # Errors
    /// `Read` if the database reports an error. `Silent` if it does not answer in time.
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

    /// Fixes the snapshot: it sees everything that is committed now. Returns the database's record
    /// of its place.
    async fn fix(&mut self) -> Result<Place, VerifyError> {
        self.read(queries::place).await
    }

    /// Closes the connection in an orderly way, which ends the transaction. Dropping the connection
    /// ends it, too.
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
    /// Opens all connections first, so that little time passes between the snapshots.
    pub async fn begin(settings: &Settings) -> Result<Self, VerifyError> {
        let shards = || settings.router.all().zip(&settings.shards);
        let orders = || {
            try_join_all(shards().map(|(index, shard)| Snapshot::connect(index, &shard.primary)))
        };
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

/// Refuses databases that are not all the shards in the configured order, as loms does when it
/// starts.
fn are_the_shards(places: &[Place]) -> Result<(), VerifyError> {
    let known = places.iter().map(|place| place.known_shards).max().unwrap_or_default();
    let identities: Vec<Option<i32>> = places.iter().map(|place| place.shard).collect();
    identity::check(known, &identities)?;
    match (0..).map(ShardIndex::new).zip(&identities).find(|(_, identity)| identity.is_none()) {
        Some((shard, _)) => Err(VerifyError::Unprepared { shard }),
        None => Ok(()),
    }
}
