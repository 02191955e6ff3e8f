//! A pooled connection while it is in use, and its return to the pool.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::managed::Object;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use sqlx::postgres::{PgConnection, PgQueryResult, PgRow, PgStatement, PgTypeInfo, Postgres};
use sqlx::{Describe, Either, Execute, Executor, SqlStr};

use super::error::{is_lost, is_read_only};
use super::observe::no_answer;
use super::session::Sessions;
use super::trust::Trust;

/// How long the rollback of an uncommitted transaction may take before its connection is returned. A
/// connection that takes longer is closed.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(2);

/// How much longer a statement is waited for once its connection or its server is known to be dead: one
/// that works after all answers within this time.
const LAST_GRACE: Duration = Duration::from_millis(500);

/// How long a statement waits at least, even if its connection or its server is known to be dead.
const GIVE_UP_AFTER: Duration = Duration::from_secs(2);

/// A connection that returns to its pool when this is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    /// `None` only within `drop`.
    session: Option<Object<Sessions>>,
    trust: Arc<Trust>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// A statement is running or was abandoned.
    Busy,
    /// A transaction is open.
    Open,
    /// The connection must not be used again.
    Lost,
}

impl Lease {
    pub fn new(session: Object<Sessions>, trust: Arc<Trust>) -> Self {
        Self { session: Some(session), trust, state: State::Idle }
    }

    /// Runs one statement. If this is dropped before it completes, the statement is abandoned and
    /// the connection is closed.
    pub async fn run<T>(
        &mut self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let Some(session) = &mut self.session else { return Err(sqlx::Error::PoolClosed) };
        let resting = std::mem::replace(&mut self.state, State::Busy);
        let result = tokio::select! {
            biased;
            result = statement(&mut session.connection) => result,
            () = given_up(&self.trust) => return Err(no_answer()),
        };
        self.state = match &result {
            Err(error) if is_read_only(error) => {
                self.trust.condemn();
                State::Lost
            }
            Err(error) if is_lost(error) => {
                self.trust.suspect();
                State::Lost
            }
            _ => {
                session.answered = Instant::now();
                resting
            }
        };
        result
    }

    /// Runs one statement and returns all its results.
    pub async fn fetch<'q, E: Execute<'q, Postgres> + 'q>(
        &mut self,
        query: E,
    ) -> Result<Vec<Either<PgQueryResult, PgRow>>, sqlx::Error> {
        self.run(async |connection| connection.fetch_many(query).try_collect().await).await
    }
}

/// Completes when a statement that starts now should be abandoned.
async fn given_up(trust: &Trust) {
    let begun = Instant::now();
    tokio::select! {
        () = trust.until_given_up(begun) => {}
        _ = trust.until_unreachable() => {}
    }
    tokio::time::sleep(GIVE_UP_AFTER.saturating_sub(begun.elapsed())).await;
    tokio::time::sleep(LAST_GRACE).await;
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        match self.state {
            // Dropping it returns it to the pool.
            State::Idle => {}
            State::Open => {
                tokio::spawn(roll_back(session, Arc::clone(&self.trust)));
            }
            State::Busy => {
                self.trust.suspect();
                close(session);
            }
            State::Lost => close(session),
        }
    }
}

async fn roll_back(mut session: Object<Sessions>, trust: Arc<Trust>) {
    let rollback = session.connection.execute("ROLLBACK");
    if let Ok(Ok(_)) = tokio::time::timeout(ROLLBACK_TIMEOUT, rollback).await {
        return;
    }
    close(session);
    trust.suspect();
}

/// Closes a session and leaves its place in the pool to another one.
fn close(session: Object<Sessions>) {
    drop(Object::take(session));
}

/// An open transaction. Statements run on it as on a connection. Dropping it uncommitted rolls it
/// back.
#[derive(Debug)]
pub struct Transaction {
    lease: Lease,
}

impl Transaction {
    pub(super) async fn begin(mut lease: Lease) -> Result<Self, sqlx::Error> {
        lease.run(async |connection| connection.execute("BEGIN").await).await?;
        lease.state = State::Open;
        Ok(Self { lease })
    }

    /// Commits the transaction: its changes become durable.
    ///
    /// # Errors
    /// The server refuses or does not answer. Without an answer, the outcome is unknown.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        // Whatever the server answers, no transaction is open afterwards.
        self.lease.state = State::Idle;
        self.lease.run(async |connection| connection.execute("COMMIT").await).await.map(drop)
    }
}

impl<'t> Executor<'t> for &'t mut Transaction {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        't: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let rows = self.lease.fetch(query).map_ok(|rows| stream::iter(rows).map(Ok));
        rows.try_flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        't: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.lease.run(async |connection| connection.fetch_optional(query).await).boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        't: 'e,
    {
        self.lease.run(async |connection| connection.prepare_with(sql, parameters).await).boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        't: 'e,
    {
        self.lease.run(async |connection| connection.describe(sql).await).boxed()
    }
}
