//! Checks at startup which shard each database is. A database is used only after that is certain.
//!
//! Each database records its own place. A database without a record is new, or it stands where a
//! shard was lost. Only the records of the other databases tell, so a new shard waits until all
//! databases have answered. Then all are claimed together.

use std::time::Duration;

use shared_actors::health::Component;
use tokio::sync::{Mutex, watch};
use tokio::time::{sleep, timeout};

use super::{DatabaseError, Pool, PoolSettings, observe};
use crate::settings::DatabaseSettings;
use crate::shard::ShardIndex;

const RETRY_AFTER: Duration = Duration::from_millis(500);
/// How long claiming all databases may take.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);

/// What the records of the databases that have answered say about one of them.
#[derive(Debug, PartialEq, Eq)]
pub enum Place<E> {
    /// The database is the configured shard.
    Taken,
    /// The same, but only the records of other databases say that all are claimed.
    Confirms,
    /// The database has no record, but those of the others are complete.
    Lost(E),
    /// The shard is new, and not all databases have answered.
    Waits,
    /// The shard is new, and all databases have answered.
    Joins,
}

/// What a service records in its databases about its shards.
pub trait ShardRecords {
    /// The records of one database.
    type Seen: Clone + PartialEq;
    /// Why the databases cannot be used as they are configured.
    type Error;

    /// Reads the records of one database.
    fn look(&self, pool: &Pool) -> impl Future<Output = Result<Self::Seen, sqlx::Error>>;

    /// Decides the place of `shard` from the records of the databases that have answered.
    ///
    /// # Errors
    /// The records contradict the settings.
    fn place(
        &self,
        shard: ShardIndex,
        seen: &[Option<Self::Seen>],
    ) -> Result<Place<Self::Error>, Self::Error>;

    /// Claims all databases. Returns their new records.
    fn join(
        &self,
        pools: &[Pool],
    ) -> impl Future<Output = Result<Vec<Self::Seen>, JoinError<Self::Error>>>;

    /// Records in one database that all are claimed. There are `shards` of them.
    fn confirm(&self, pool: &Pool, shards: usize) -> impl Future<Output = Result<(), sqlx::Error>>;

    /// The error for a statement that can never succeed.
    fn unusable(&self, shard: ShardIndex, error: DatabaseError) -> Self::Error;
}

/// Why the databases could not be claimed.
#[derive(Debug)]
pub enum JoinError<E> {
    /// A statement failed.
    Database(ShardIndex, DatabaseError),
    /// The records contradict the settings.
    Refused(E),
}

impl<E> From<E> for JoinError<E> {
    fn from(error: E) -> Self {
        Self::Refused(error)
    }
}

/// The state of the check over the databases of all shards.
pub struct Places<R: ShardRecords> {
    records: R,
    databases: Vec<DatabaseSettings>,
    limits: PoolSettings,
    seen: watch::Sender<Vec<Option<R::Seen>>>,
    joining: Mutex<()>,
}

impl<R: ShardRecords> Places<R> {
    /// A check of `databases`, in the order of the shards. Its connections are called `name`.
    pub fn new(records: R, databases: Vec<DatabaseSettings>, name: &'static str) -> Self {
        let seen = watch::Sender::new(vec![None; databases.len()]);
        let limits = PoolSettings::new(name).with_max_connections(1);
        Self { records, databases, limits, seen, joining: Mutex::default() }
    }

    /// Waits until the database of `shard` is known to be that shard, or claims it as a new one.
    /// Reports to `component` what it waits for.
    ///
    /// # Errors
    /// The database belongs to another shard, the settings contradict the recorded shards, or a
    /// statement can never succeed.
    pub async fn take(&self, shard: ShardIndex, component: &Component) -> Result<(), R::Error> {
        let mut changes = self.seen.subscribe();
        let mut seemed_lost = false;
        loop {
            let look = async |pool: &Pool| self.records.look(pool).await;
            let seen = self.until_answered(shard, component, look).await?;
            self.seen.send_if_modified(|all| {
                let own = &mut all[shard.index()];
                let is_new = own.as_ref() != Some(&seen);
                *own = Some(seen);
                is_new
            });
            let place = self.records.place(shard, &changes.borrow_and_update())?;
            match place {
                Place::Taken => return Ok(()),
                Place::Confirms => {
                    let confirm =
                        async |pool: &Pool| self.records.confirm(pool, self.databases.len()).await;
                    return self.until_answered(shard, component, confirm).await;
                }
                // Another instance may have claimed it between the two queries, so ask once more.
                Place::Lost(_) if !seemed_lost => seemed_lost = true,
                Place::Lost(lost) => return Err(lost),
                Place::Joins => self.join(shard, component).await?,
                Place::Waits => {
                    component.starting(
                        "a shard is new: waiting until the databases of all shards answer",
                    );
                    // Another instance may claim all of them meanwhile, so look again.
                    let _ = timeout(RETRY_AFTER, changes.changed()).await;
                }
            }
        }
    }

    /// Claims all databases together, unless another shard's task already did.
    async fn join(&self, shard: ShardIndex, component: &Component) -> Result<(), R::Error> {
        let _joining = self.joining.lock().await;
        if !matches!(self.records.place(shard, &self.seen.borrow())?, Place::Joins) {
            return Ok(());
        }
        let pools: Vec<Pool> =
            self.databases.iter().map(|database| Pool::new(database, &self.limits)).collect();
        let joined = timeout(JOIN_TIMEOUT, self.records.join(&pools)).await;
        let Ok(joined) = joined else {
            component.waiting("a database stopped answering while the shards were joined");
            return Ok(());
        };
        match joined {
            Ok(seen) => {
                self.seen.send_replace(seen.into_iter().map(Some).collect());
                Ok(())
            }
            Err(JoinError::Database(_, error)) if error.is_transient() => {
                component.waiting(error.to_string());
                sleep(RETRY_AFTER).await;
                Ok(())
            }
            Err(JoinError::Database(shard, error)) => Err(self.records.unusable(shard, error)),
            Err(JoinError::Refused(error)) => Err(error),
        }
    }

    /// Asks the database of `shard` with a connection of its own, until there is an answer.
    ///
    /// # Errors
    /// The statement can never succeed.
    pub async fn until_answered<T>(
        &self,
        shard: ShardIndex,
        component: &Component,
        ask: impl AsyncFn(&Pool) -> Result<T, sqlx::Error>,
    ) -> Result<T, R::Error> {
        let pool = Pool::new(&self.databases[shard.index()], &self.limits);
        let answer = loop {
            match observe("shard_place", ask(&pool)).await.map_err(DatabaseError::from) {
                Err(error) if error.is_transient() => component.waiting(error.to_string()),
                answer => break answer,
            }
            sleep(RETRY_AFTER).await;
        };
        pool.close().await;
        answer.map_err(|error| self.records.unusable(shard, error))
    }
}
