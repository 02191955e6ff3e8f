//! notifier as it ships, with a database of its own.

use dev::testing::{Database, Servers, ServiceProcess, create_database, free_port};

use super::{Env, SOON, eventually, set};

/// A running notifier.
#[derive(Debug)]
pub struct Notifier {
    pub process: ServiceProcess,
    _database: Database,
}

impl Notifier {
    /// Starts notifier on a topic with `more` settings than it needs, and waits until it is ready.
    pub async fn start(servers: &Servers, topic: &str, more: Env) -> Self {
        let database = create_database(&servers.postgres_0, "notifier").await;
        let mut env = database.master_env(0);
        env.extend(Self::addresses(&servers.kafka, topic));
        env.extend(more);
        let process = ServiceProcess::start("notifier", &env).await;
        Self { process, _database: database }
    }

    /// The settings of port and topic. The group is as unique as the topic: tests share the broker.
    pub fn addresses(kafka: &str, topic: &str) -> Env {
        vec![
            set("HTTP_PORT", free_port()),
            set("KAFKA_BROKER", kafka),
            set("KAFKA_TOPIC", topic),
            set("KAFKA_GROUP_ID", format!("{topic}.notifier")),
        ]
    }

    /// Waits until the log tells of an order in this state; returns the lines that do.
    pub async fn tells(&self, order: i64, state: &str) -> Vec<String> {
        let what = format!("notifier tells that order {order} is {state}");
        eventually(SOON, &what, async || {
            let lines = self.lines(order, state);
            (!lines.is_empty()).then_some(lines)
        })
        .await
    }

    /// The lines of the log that tell of an order in this state.
    pub fn lines(&self, order: i64, state: &str) -> Vec<String> {
        let (order, state) = (format!("order {order} "), format!(" {state} "));
        let tells = |line: &&str| line.contains(&order) && line.contains(&state);
        self.process.log().lines().filter(tells).map(str::to_owned).collect()
    }
}
