//! Whether the server still works on migrations. They have no time limit, and a connection that died
//! silently never answers.

use std::pin::pin;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use sqlx::postgres::PgConnection;
use tokio::time::Instant;

use super::Probe;
use super::observe::no_answer;
use super::prepare::CONNECT_TIMEOUT;
use crate::settings::DatabaseSettings;

/// How often the server is asked whether it is still working on a migration.
const LOOK_PERIOD: Duration = Duration::from_secs(2);

/// How long the server may be unreachable before migrations that it may work on are given up.
const UNREACHABLE_WITHIN: Duration = Duration::from_mins(1);

/// The session that runs migrations, as the server knows it. Its process id alone could belong to
/// another session after a restart of the server.
#[derive(Debug, FromRow)]
pub(super) struct Backend {
    pid: i32,
    backend_start: DateTime<Utc>,
}

/// What the server says of a session.
#[derive(FromRow, PartialEq)]
struct SessionState {
    is_active: bool,
    state_change: DateTime<Utc>,
}

impl Backend {
    /// The backend of this connection.
    pub async fn of(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        sqlx::query_as(OWN_BACKEND).fetch_one(connection).await
    }
}

const OWN_BACKEND: &str =
    "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()";
const SESSION_STATE: &str = "
SELECT coalesce(state = 'active', true) AS is_active, state_change FROM pg_stat_activity
WHERE pid = $1 AND backend_start = $2 AND state_change IS NOT NULL";
const END_SESSION: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2";

/// Runs migrations for as long as the server works on them, without a time limit. They are given up
/// if the server says that their session rests, or no longer exists, while no answer arrives; or if
/// the server cannot be asked for a minute.
pub(super) async fn while_at_work<T>(
    settings: &DatabaseSettings,
    backend: &Backend,
    migrations: impl Future<Output = T>,
) -> Result<T, sqlx::Error> {
    let mut migrations = pin!(migrations);
    let mut probe = Probe::new(settings, "migrations watch");
    let mut resting: Option<Option<SessionState>> = None;
    let mut answered = Instant::now();
    while answered.elapsed() < UNREACHABLE_WITHIN {
        if let Ok(done) = tokio::time::timeout(LOOK_PERIOD, &mut migrations).await {
            return Ok(done);
        }
        let look = async |server: &mut PgConnection| {
            let query = sqlx::query_as(SESSION_STATE).bind(backend.pid).bind(backend.backend_start);
            query.fetch_optional(server).await
        };
        // The migrations go on meanwhile.
        let look = tokio::select! {
            done = &mut migrations => return Ok(done),
            look = probe.ask(CONNECT_TIMEOUT, look) => look,
        };
        let Ok(state) = look else { continue };
        answered = Instant::now();
        if state.as_ref().is_some_and(|state: &SessionState| state.is_active) {
            resting = None;
        } else if resting.as_ref() == Some(&state) {
            break;
        } else {
            resting = Some(state);
        }
    }
    // Ends the session, which holds the migration lock for as long as it lives.
    let end = async |server: &mut PgConnection| {
        sqlx::query(END_SESSION).bind(backend.pid).bind(backend.backend_start).execute(server).await
    };
    let _ = probe.ask(CONNECT_TIMEOUT, end).await;
    Err(no_answer())
}
