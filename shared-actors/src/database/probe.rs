//! A session of its own to ask a server how it is.

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
/// A session that takes longer to open than a question may wait is opened all the same, for the next question. Were each
/// attempt abandoned, a server that is slow to open sessions would never be reached.
#[derive(Debug)]
pub struct Probe {
    options: PgConnectOptions,
    session: Option<PgConnection>,
    /// At most one session that is being opened.
    opening: JoinSet<Result<PgConnection, sqlx::Error>>,
}

impl Probe {
    /// Connects when it is first asked. `application_name` is what the server shows as the client's name.
    pub fn new(settings: &DatabaseSettings, application_name: &str) -> Self {
        let options = connect_options(settings, application_name);
        Self { options, session: None, opening: JoinSet::new() }
    }

    /// Whether a session is open, which may be dead without a word.
    pub(super) const fn is_open(&self) -> bool {
        self.session.is_some()
    }

    /// Drops the session.
    pub(super) fn close(&mut self) {
        self.session = None;
    }

    /// What the server answers. The session is dropped when it fails or is silent for so long.
    ///
    /// # Errors
    /// Those of the question and of the login; an `Io` error when there was no answer in time.
    pub async fn ask<T>(
        &mut self,
        within: Duration,
        question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        timeout(within, self.answer(question)).await.unwrap_or_else(|_| Err(no_answer()))
    }

    async fn answer<T>(
        &mut self,
        question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let mut session = match self.session.take() {
            Some(open) => open,
            None => self.open().await?,
        };
        let answer = question(&mut session).await?;
        self.session = Some(session);
        Ok(answer)
    }

    async fn open(&mut self) -> Result<PgConnection, sqlx::Error> {
        if self.opening.is_empty() {
            let options = self.options.clone();
            self.opening.spawn(async move {
                timeout(OPEN_TIMEOUT, options.connect()).await.unwrap_or_else(|_| Err(no_answer()))
            });
        }
        let opened = self.opening.join_next().await;
        opened.and_then(Result::ok).unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }
}
