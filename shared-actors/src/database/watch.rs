//! Readiness that stays true to life after the start.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection};

use super::{connect_options, prepare::reason};
use crate::health::Component;
use crate::settings::DatabaseSettings;

const PERIOD: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks the server once a second, over a connection of its own, whether it answers, and keeps `component` to
/// that. Runs until it is dropped.
pub async fn watch(settings: DatabaseSettings, component: Component) {
    let options = connect_options(&settings, "readiness");
    let mut connection: Option<PgConnection> = None;
    loop {
        let asked = async {
            let mut open = match connection.take() {
                Some(open) => open,
                None => options.connect().await?,
            };
            open.ping().await.map(|()| open)
        };
        match tokio::time::timeout(TIMEOUT, asked).await {
            Ok(Ok(open)) => {
                connection = Some(open);
                component.ready();
            }
            Ok(Err(error)) => component.waiting(reason(&error)),
            Err(_) => component.waiting("no answer"),
        }
        tokio::time::sleep(PERIOD).await;
    }
}
