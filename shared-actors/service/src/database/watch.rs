//! Checks once per second whether a server can be reached and written to.

use std::io;
use std::time::Duration;

use shared_actors::health::Component;
use sqlx::postgres::PgConnection;

use super::error::is_lost;
use super::{Pool, Probe, prepare::reason};
use crate::settings::DatabaseSettings;

const PERIOD: Duration = Duration::from_secs(1);

/// A server that does not answer is checked more often at first, because no request is served until
/// it does.
const FIRST_PERIOD_WHILE_UNREACHABLE: Duration = Duration::from_millis(100);

/// If a session does not answer for longer than this, it is dead, or its server is.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the successor of an unresponsive session has to answer. It was opened in the meantime.
const SUCCESSOR_TIMEOUT: Duration = Duration::from_millis(200);

/// How long a server has to open a session if there is none, and to answer over it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// False if every change would fail: on a replica, and in a read-only session.
const IS_WRITABLE: &str =
    "SELECT NOT pg_is_in_recovery() AND NOT current_setting('transaction_read_only')::boolean";

/// Checks once per second whether the server answers and can be written to. Updates `component` and
/// informs `pools`, which must be pools of connections to this server. The pools replace
/// connections that a fault has made useless, and fail statements at once while the server does not
/// answer. Runs until it is dropped.
pub async fn watch(settings: DatabaseSettings, component: Component, pools: Vec<Pool>) {
    let mut probe = Probe::new(&settings, "readiness");
    let mut was_usable = true;
    let mut pause = FIRST_PERIOD_WHILE_UNREACHABLE;
    loop {
        let state = look(&mut probe).await;
        for pool in &pools {
            let trust = pool.trust();
            match &state {
                State::Usable { replaced } => {
                    // The sessions of the pools are as old as the replaced one, or older than the
                    // server's return.
                    if !was_usable || *replaced {
                        trust.give_up();
                    }
                    trust.reachable();
                }
                // The sessions of the pools may still work. The pools find out for themselves.
                State::ReadOnly | State::Refuses(_) => trust.reachable(),
                State::Unreachable(reason) => trust.unreachable(reason),
            }
        }
        was_usable = matches!(state, State::Usable { .. });
        let is_unreachable = matches!(state, State::Unreachable(_));
        match state {
            State::Usable { .. } => component.ready(),
            State::ReadOnly => component.waiting("the server is read-only"),
            State::Refuses(reason) | State::Unreachable(reason) => component.waiting(reason),
        }
        tokio::time::sleep(if is_unreachable { pause } else { PERIOD }).await;
        pause =
            if is_unreachable { (pause * 2).min(PERIOD) } else { FIRST_PERIOD_WHILE_UNREACHABLE };
    }
}

enum State {
    Usable {
        /// An earlier session stopped working, and a new one works.
        replaced: bool,
    },
    ReadOnly,
    /// The server answers, but accepts no new session.
    Refuses(String),
    Unreachable(String),
}

async fn look(probe: &mut Probe) -> State {
    let mut patience = CONNECT_TIMEOUT;
    let was_open = probe.is_open();
    if was_open {
        match probe.ask(ANSWER_TIMEOUT, is_writable).await {
            Ok(true) => return State::Usable { replaced: false },
            Err(error) if is_silence(&error) => patience = SUCCESSOR_TIMEOUT,
            Ok(false) | Err(_) => probe.close(),
        }
    }
    // The fault may lie in that one session only.
    match probe.ask(patience, is_writable).await {
        Ok(true) => State::Usable { replaced: was_open },
        Ok(false) => {
            // This session would stay read-only after the server becomes writable again.
            probe.close();
            State::ReadOnly
        }
        Err(error) if is_refusal(&error) => State::Refuses(reason(&error)),
        Err(error) => State::Unreachable(reason(&error)),
    }
}

fn is_silence(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

/// Whether the server itself refuses: too many sessions, or a login that it does not accept. A
/// server that is shutting down or starting does not count, because it serves nobody.
fn is_refusal(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some() && !is_lost(error)
}

async fn is_writable(session: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(IS_WRITABLE).fetch_one(session).await
}
