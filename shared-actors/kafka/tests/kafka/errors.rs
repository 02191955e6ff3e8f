//! Brokers that answer with errors, as librdkafka's own mock cluster lets them.

use std::time::Duration;

use kafka_actors::{ConsumerHandle, ConsumerOptions};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use shared_actors::actor::Arbiters;

use crate::support::{Memory, producer, records};

/// Errors that pass.
const ERRORS: [RDKafkaRespErr; 4] = [
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
];
const OF_LEADERS: [RDKafkaRespErr; 3] = [
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
];

#[actix::test]
async fn records_arrive_once_and_in_order_although_brokers_answer_with_errors() {
    let cluster: MockCluster<DefaultProducerContext> = MockCluster::new(3).unwrap();
    cluster.create_topic("events", 1, 3).unwrap();
    let brokers = cluster.bootstrap_servers();
    let memory = Memory::default();
    let options = ConsumerOptions::new(&brokers, "readers", "events");
    let reader = ConsumerHandle::start(options, Arbiters::new(0).pick(0), memory.clone());
    let publisher = producer(&brokers);
    let mut expected = Vec::new();
    for round in 0..5 {
        for key in [RDKafkaApiKey::OffsetCommit, RDKafkaApiKey::Heartbeat, RDKafkaApiKey::JoinGroup]
        {
            cluster.request_errors(key, &ERRORS);
        }
        for key in [RDKafkaApiKey::Fetch, RDKafkaApiKey::Produce] {
            cluster.request_errors(key, &OF_LEADERS);
        }
        cluster.partition_leader("events", 0, Some(round % 3 + 1)).unwrap();
        let prefix = format!("{round}.");
        publisher.publish(records("events", &prefix, 20)).await.unwrap();
        expected.extend((0..20).map(|n| format!("{prefix}{n}")));
        assert_eq!(memory.hold(expected.len()).await, expected);
    }
    cluster.broker_down(1).unwrap();
    cluster.partition_leader("events", 0, Some(2)).unwrap();
    publisher.publish(records("events", "without.", 20)).await.unwrap();
    memory.hold(expected.len() + 20).await;
    cluster.broker_up(1).unwrap();
    tokio::time::timeout(Duration::from_secs(30), reader.drain()).await.unwrap();
    assert_eq!(memory.values().len(), expected.len() + 20, "each once");
}
