//! Opens sessions with a server, and decides which of them may still be used.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use shared_actors::actor::Backoff;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};

use super::trust::{Trust, Verdict};

/// A session that was idle for longer than this is pinged before it is used again.
const TRUSTED_IDLE: Duration = Duration::from_secs(5);

/// A session that was idle for longer than this is replaced. Firewalls drop such connections, and
/// that says nothing about sessions in use.
const MAX_IDLE: Duration = Duration::from_mins(5);

/// How long a session has to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_millis(500);

/// A session is replaced after this time, because the server never frees what a session has cached.
const MAX_AGE: Duration = Duration::from_mins(30);

/// How often the opening of a session is retried while its server is starting.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(10), max: Duration::from_millis(500) };

/// SQLSTATE: the server is starting, stopping or recovering.
const CANNOT_CONNECT_NOW: &str = "57P03";
/// SQLSTATE: all connections of the server are taken.
const TOO_MANY_CONNECTIONS: &str = "53300";

/// An open session.
#[derive(Debug)]
pub(super) struct Session {
    pub connection: PgConnection,
    /// When the last statement was answered.
    pub answered: Instant,
    opened: Instant,
}

/// Opens sessions for a pool.
#[derive(Debug)]
pub(super) struct Sessions {
    pub options: PgConnectOptions,
    pub trust: Arc<Trust>,
}

impl Manager for Sessions {
    type Type = Session;
    type Error = sqlx::Error;

    /// Opens a session. Tries again while the server refuses because it is starting, until the pool
    /// gives up.
    async fn create(&self) -> Result<Session, sqlx::Error> {
        let mut failures = 0;
        loop {
            match self.options.connect().await {
                Ok(connection) => {
                    let now = Instant::now();
                    return Ok(Session { connection, answered: now, opened: now });
                }
                Err(error) if is_starting(&error) => {
                    failures += 1;
                    tokio::time::sleep(BACKOFF.wait(failures)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Refuses a session that may not be used again. The pool then closes it.
    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<sqlx::Error> {
        if is_usable(session, &self.trust).await {
            Ok(())
        } else {
            Err(RecycleError::message("the session is not trusted"))
        }
    }
}

fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == io::ErrorKind::ConnectionRefused,
        sqlx::Error::Database(error) => {
            let code = error.code();
            matches!(code.as_deref(), Some(CANNOT_CONNECT_NOW | TOO_MANY_CONNECTIONS))
        }
        _ => false,
    }
}

/// Whether an idle session may be used.
async fn is_usable(session: &mut Session, trust: &Trust) -> bool {
    let now = Instant::now();
    let verdict = trust.verdict(session.opened, session.answered);
    let (age, idle) = (now.duration_since(session.opened), now.duration_since(session.answered));
    if verdict == Verdict::Close || age > MAX_AGE || idle > MAX_IDLE {
        return false;
    }
    if verdict == Verdict::Use && idle <= TRUSTED_IDLE {
        return true;
    }
    match tokio::time::timeout(PING_TIMEOUT, session.connection.ping()).await {
        Ok(Ok(())) => {
            session.answered = Instant::now();
            true
        }
        // A timer that fires late says that this process lacks CPU time, and little about the server.
        Err(_) if now.elapsed() < 2 * PING_TIMEOUT => {
            // The other sessions were idle for as long. No other caller should wait for them.
            trust.condemn();
            false
        }
        Ok(Err(_)) | Err(_) => {
            trust.suspect();
            false
        }
    }
}
