//! A Kafka topic for one test.

use std::time::Duration;

use rdkafka::admin::{AdminOptions, AlterConfig, NewTopic, ResourceSpecifier};

use super::{clean_up, eventually};
use crate::stack::kafka::{BROKERS_DEFAULT, admin_client, create_topic};

/// A topic that is deleted together with this value, as is the dead-letter topic that a consumer
/// may have created for it.
#[derive(Debug)]
pub struct Topic {
    /// The broker, `host:port`.
    pub host_port: String,
    /// The topic's name.
    pub name: String,
}

/// Creates an empty topic with a unique name on a broker (`host:port`).
pub async fn unique_topic(host_port: &str, partitions: i32) -> Topic {
    let name = format!("test.{}", uuid::Uuid::new_v4().simple());
    let admin = admin_client(host_port).expect("a Kafka client");
    create_topic(&admin, &name, partitions).await.expect("a topic can be created");
    Topic { host_port: host_port.to_owned(), name }
}

/// Limits the size of a topic's records to `max_bytes`. Creates the topic, with one partition, if
/// it does not exist.
pub async fn limit_records(host_port: &str, name: &str, max_bytes: usize) {
    let admin = admin_client(host_port).expect("a Kafka client");
    create_topic(&admin, name, 1).await.expect("a topic can be created");
    let (limit, options) = (max_bytes.to_string(), AdminOptions::new());
    let setting = AlterConfig::new(ResourceSpecifier::Topic(name)).set("max.message.bytes", &limit);
    eventually(Duration::from_secs(20), "the topic has a limit", async || {
        let outcomes = admin.alter_configs([&setting], &options).await.expect("the broker answers");
        outcomes.into_iter().all(|outcome| outcome.is_ok())
    })
    .await;
}

impl Topic {
    /// Deletes the topic and creates an empty one of the same name as soon as the broker has
    /// forgotten the old one.
    pub async fn recreate(&self, partitions: i32) {
        let admin = admin_client(&self.host_port).expect("a Kafka client");
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
        let deleted =
            admin.delete_topics(&[&self.name], &options).await.expect("a topic can be deleted");
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
        eventually(Duration::from_secs(20), "the topic is made again", async || {
            let topic = NewTopic::new(&self.name, partitions, BROKERS_DEFAULT);
            let made = admin.create_topics([&topic], &options).await.expect("the broker answers");
            made.into_iter().all(|outcome| outcome.is_ok())
        })
        .await;
    }

    /// The name of the dead-letter topic that belongs to this one.
    pub fn dead_letters(&self) -> String {
        format!("{}.dlq", self.name)
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        let (host_port, name, dead_letters) =
            (self.host_port.clone(), self.name.clone(), self.dead_letters());
        clean_up(async move {
            let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(10)));
            // The dead-letter topic rarely exists, so the outcome of each single deletion does not
            // matter.
            admin_client(&host_port)?.delete_topics(&[&name, &dead_letters], &options).await?;
            Ok(())
        });
    }
}
