//! Checks once per second whether a server can be reached and written.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};

use super::error::is_lost;
use super::{Pool, connect_options, prepare::reason};
use crate::health::Component;
use crate::settings::DatabaseSettings;

const PERIOD: Duration = Duration::from_secs(1);

/// How long an open session has to answer before a new one is tried.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a server has to open a session and to answer over it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// False where every change would fail: on a replica, and in a session that is read-only.
const IS_WRITABLE: &str =
    "SELECT NOT pg_is_in_recovery() AND NOT current_setting('transaction_read_only')::boolean";

/// Checks once per second whether the server answers and can be written. Updates `component`, and informs `pools`, which
/// are pools of connections to it: they replace connections that a fault has made useless, and let nobody wait for a server
/// that does not answer. Runs until it is dropped.
pub async fn watch(settings: DatabaseSettings, component: Component, pools: Vec<Pool>) {
    let options = connect_options(&settings, "readiness");
    let mut session: Option<PgConnection> = None;
    let mut was_usable = true;
    loop {
        let held = session.is_some();
        let usable = match look(&options, session.take()).await {
            Ok((open, is_same)) => {
                // The sessions of the pools are as old as the one that did not answer, or older than the server's return.
                if !was_usable || (held && !is_same) {
                    for pool in &pools {
                        pool.trust().give_up();
                    }
                }
                session = Some(open);
                for pool in &pools {
                    pool.trust().reachable();
                }
                component.ready();
                true
            }
            Err(Unusable::ReadOnly) => {
                for pool in &pools {
                    pool.trust().reachable();
                }
                component.waiting("the server is read-only");
                false
            }
            // The sessions of the pools may still work: they find out for themselves.
            Err(Unusable::Refused(reason)) => {
                component.waiting(reason);
                false
            }
            Err(Unusable::Unreachable(reason)) => {
                for pool in &pools {
                    pool.trust().unreachable(&reason);
                }
                component.waiting(reason);
                false
            }
        };
        was_usable = usable;
        tokio::time::sleep(PERIOD).await;
    }
}

enum Unusable {
    ReadOnly,
    /// The server answers, and lets no new session in.
    Refused(String),
    Unreachable(String),
}

/// A session in which changes are possible, and whether it is the one that was open before.
async fn look(
    options: &PgConnectOptions,
    open: Option<PgConnection>,
) -> Result<(PgConnection, bool), Unusable> {
    if let Some(mut open) = open
        && let Ok(Ok(true)) = tokio::time::timeout(ANSWER_TIMEOUT, is_writable(&mut open)).await
    {
        return Ok((open, true));
    }
    let asked = async {
        let mut new = options.connect().await?;
        let writable = is_writable(&mut new).await?;
        Ok::<_, sqlx::Error>((new, writable))
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, asked).await {
        Ok(Ok((new, true))) => Ok((new, false)),
        Ok(Ok((new, false))) => {
            // The server ends it otherwise.
            let _ = tokio::time::timeout(ANSWER_TIMEOUT, new.close()).await;
            Err(Unusable::ReadOnly)
        }
        Ok(Err(error)) if is_refused(&error) => Err(Unusable::Refused(reason(&error))),
        Ok(Err(error)) => Err(Unusable::Unreachable(reason(&error))),
        Err(_) => Err(Unusable::Unreachable("no answer".to_owned())),
    }
}

/// Whether the server itself says no: too many sessions, or a login that it does not accept. One that is shutting down or
/// starting serves nobody.
fn is_refused(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some() && !is_lost(error)
}

async fn is_writable(session: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(IS_WRITABLE).fetch_one(session).await
}
