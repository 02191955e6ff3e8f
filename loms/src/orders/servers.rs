//! Health checks of a shard's servers, once per second: whether the primary answers, and whether the replica may be read.
//!
//! The replica alone cannot tell: cut off from its primary, it has everything it ever received for a minute; promoted, it
//! never lags. So both servers are asked, over connections of their own.

use std::time::Duration;

use shared_actors::database::connect_options;
use shared_actors::settings::DatabaseSettings;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnection;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::pulse::{Failure, SILENT_AFTER};
use super::queries::{self, LogPosition};
use super::replica::ANSWER_WITHIN;
use super::shard::OrderShard;

const CHECK_EVERY: Duration = Duration::from_secs(1);
/// A primary that is away is asked more often: its calls are refused until it answers.
const CHECK_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// How long a server has to open a session: under load that takes longer than an answer.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);

impl OrderShard {
    /// Watches the servers. Runs until it is dropped.
    pub(super) async fn watch(&self) {
        let mut ticks = interval(CHECK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut primary = Probe::new(&self.database, SILENT_AFTER);
        let mut replica = self.replica.as_ref().map(|replica| Probe::new(replica.database(), ANSWER_WITHIN));
        let mut earlier: Option<LogPosition> = None;
        loop {
            if self.pulse.is_away() {
                sleep(CHECK_AGAIN_AFTER).await;
            } else {
                ticks.tick().await;
            }
            // In this order: what the primary did after its answer is nothing that the replica lacks.
            let position = primary.ask(queries::log_position).await;
            self.pulse.heard(position.as_ref().err());
            let now = position.ok();
            if let (Some(replica), Some(probe)) = (&self.replica, &mut replica) {
                let (now, before) = (now.as_ref(), earlier.as_ref());
                let state = probe.ask(async |server| queries::replica_state(server, now, before).await).await;
                let lineage = now.or(before).map(|position| position.lineage);
                replica.judge(state.ok().as_ref(), lineage, self.pulse.is_away());
            }
            earlier = now.or(earlier);
        }
    }
}

/// A server that is asked again and again.
struct Probe<'a> {
    database: &'a DatabaseSettings,
    answer_within: Duration,
    connection: Option<PgConnection>,
}

impl<'a> Probe<'a> {
    fn new(database: &'a DatabaseSettings, answer_within: Duration) -> Self {
        Self { database, answer_within, connection: None }
    }

    /// What the server answers, if it does in time; if not, the connection is gone with the question.
    async fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, Failure> {
        let mut connection = if let Some(open) = self.connection.take() {
            open
        } else {
            let options = connect_options(self.database, "loms watch");
            timeout(OPEN_TIMEOUT, options.connect()).await.map_err(|_| Failure::Silent)??
        };
        let exchange = async move {
            let answer = question(&mut connection).await?;
            Ok::<_, sqlx::Error>((answer, connection))
        };
        let (answer, connection) =
            timeout(self.answer_within, exchange).await.map_err(|_| Failure::Silent)??;
        self.connection = Some(connection);
        Ok(answer)
    }
}
