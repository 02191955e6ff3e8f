//! A dedicated session for checking a server.

use std::pin::pin;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connect_options;
use super::observe::no_answer;
use super::pool::OPEN_TIMEOUT;
use crate::settings::DatabaseSettings;

/// Asks a server repeatedly, over a session that stays open.
///
/// A login that takes longer than the caller waits continues in the background, for the next
/// question. If every attempt were abandoned, a server that is slow to open sessions would never be
/// reached.
pub struct Probe {
    options: PgConnectOptions,
    session: Option<PgConnection>,
    /// At most one login at a time.
    login: JoinSet<Result<PgConnection, sqlx::Error>>,
}

impl Probe {
    /// A probe that connects when it is first asked. The server shows `application_name` as the
    /// client's name.
    pub fn new(settings: &DatabaseSettings, application_name: &str) -> Self {
        let options = connect_options(settings, application_name);
        Self { options, session: None, login: JoinSet::new() }
    }

    /// Whether a session is open. It may be dead already.
    pub(super) const fn is_open(&self) -> bool {
        self.session.is_some()
    }

    /// Drops the session.
    pub fn close(&mut self) {
        self.session = None;
    }

    /// Asks the server and waits for the answer for `within`, after at most the same time for a
    /// login. A session that fails or does not answer is dropped. If it has not answered after half
    /// of the time, a new session is opened in the background.
    ///
    /// # Errors
    /// The error of the question or of the login; an `Io` error if there was no answer in time.
    pub async fn ask<T>(
        &mut self,
        within: Duration,
        question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let mut session = match self.session.take() {
            Some(open) => open,
            None => timeout(within, self.open()).await.unwrap_or_else(|_| Err(no_answer()))?,
        };
        let answer = {
            let mut asked = pin!(question(&mut session));
            if let Ok(answer) = timeout(within / 2, &mut asked).await {
                answer?
            } else {
                self.begin_login();
                timeout(within / 2, asked).await.unwrap_or_else(|_| Err(no_answer()))?
            }
        };
        self.login = JoinSet::new();
        self.session = Some(session);
        Ok(answer)
    }

    async fn open(&mut self) -> Result<PgConnection, sqlx::Error> {
        self.begin_login();
        let opened = self.login.join_next().await;
        opened.and_then(Result::ok).unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    fn begin_login(&mut self) {
        if self.login.is_empty() {
            let options = self.options.clone();
            self.login.spawn(async move {
                timeout(OPEN_TIMEOUT, options.connect()).await.unwrap_or_else(|_| Err(no_answer()))
            });
        }
    }
}
