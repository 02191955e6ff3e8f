//! notifier as it ships, with its own database.

use dev::testing::{Database, Servers, ServiceProcess, create_database, free_port};

use super::{Env, SOON, eventually, on_loopback, set};

/// A running notifier.
#[derive(Debug)]
pub struct Notifier {
    pub process: ServiceProcess,
    pub settings: Env,
    _database: Database,
}

impl Notifier {
    /// Starts notifier on a topic, with `more` settings besides the required ones, and waits until
    /// it is ready.
    pub async fn start(servers: &Servers, topic: &str, more: Env) -> Self {
        let database = create_database(&servers.postgres_0, "notifier").await;
        let mut env = database.master_env(0);
        env.extend(Self::addresses(&servers.kafka, topic));
        env.extend(more);
        let process = ServiceProcess::start("notifier", &env).await;
        Self { process, settings: env, _database: database }
    }

    /// Starts another instance with other settings, and does not wait until it is ready.
    pub fn launch_another(&self, more: Env) -> ServiceProcess {
        let mut env = self.settings.clone();
        env.push(set("HTTP_PORT", on_loopback(free_port())));
        env.extend(more);
        ServiceProcess::launch("notifier", &env)
    }

    /// The settings for port, broker, topic and group. The group is as unique as the topic, because
    /// tests share the broker.
    pub fn addresses(kafka: &str, topic: &str) -> Env {
        vec![
            set("HTTP_PORT", free_port()),
            set("KAFKA_BROKER", kafka),
            set("KAFKA_TOPIC", topic),
            set("KAFKA_GROUP_ID", format!("{topic}.notifier")),
        ]
    }

    /// Waits until the log reports that the order is in this state. Returns the lines that do.
    pub async fn tells(&self, order: i64, state: &str) -> Vec<String> {
        let what = format!("notifier tells that order {order} is {state}");
        eventually(SOON, &what, async || {
            let lines = self.lines(order, state);
            (!lines.is_empty()).then_some(lines)
        })
        .await
    }

    /// The log lines that report this state of an order.
    pub fn lines(&self, order: i64, state: &str) -> Vec<String> {
        let (order, state) = (format!("order {order} "), format!(" {state} "));
        let tells = |line: &&str| line.contains(&order) && line.contains(&state);
        self.process.log().lines().filter(tells).map(str::to_owned).collect()
    }
}
