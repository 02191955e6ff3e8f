//! A session of its own to ask a server how it is.

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

/// A server that is asked again and again, over a session that stays open.
///
/// A login that takes longer than a question may wait goes on in the background, for the next question. If each attempt
/// were abandoned, a server that is slow to open sessions would never be reached.
pub struct Probe {
    options: PgConnectOptions,
    session: Option<PgConnection>,
    /// At most one login.
    login: JoinSet<Result<PgConnection, sqlx::Error>>,
}

impl Probe {
    /// Connects when it is first asked. `application_name` is what the server shows as the client's name.
    pub fn new(settings: &DatabaseSettings, application_name: &str) -> Self {
        let options = connect_options(settings, application_name);
        Self { options, session: None, login: JoinSet::new() }
    }

    /// Whether a session is open. It may be dead without a word.
    pub(super) const fn is_open(&self) -> bool {
        self.session.is_some()
    }

    /// Drops the session.
    pub fn close(&mut self) {
        self.session = None;
    }

    /// What the server answers within this time, after at most as long for the login. A session that fails or is silent
    /// is dropped; one that has been silent for half of the time gets a successor, which is opened meanwhile.
    ///
    /// # Errors
    /// Those of the question and of the login; an `Io` error when there was no answer in time.
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
