//! If a thread of a Kafka client panics, it is replaced, and nothing is lost or repeated.

use dev::testing::{ServiceProcess, eventually, free_port};
use kafka_actors::Record;

use crate::support::{SOON, World, event};

/// Starts a notifier in which one thread panics when it reaches `point` for the `times`-th time.
async fn notifier_that_panics(world: &World, point: &str, times: u32) -> ServiceProcess {
    let mut env = world.env("one");
    env.retain(|(name, _)| name != "HTTP_PORT");
    env.push(("HTTP_PORT".to_owned(), free_port().to_string()));
    env.push(("FAILPOINTS".to_owned(), format!("{point}={}*off->1*panic->off", times - 1)));
    ServiceProcess::start("notifier", &env).await
}

async fn says(notifier: &ServiceProcess, text: &str) {
    eventually(SOON, &format!("the log says {text:?}"), async || notifier.log().contains(text))
        .await;
}

/// Publishes an event and waits until exactly one log line reports it.
async fn notifies(world: &World, notifier: &ServiceProcess, order: i64) {
    world.publish(&[event(order, 1, "NEW")]).await;
    let line = format!("order {order} of user");
    says(notifier, &line).await;
    assert_eq!(notifier.log().matches(&line).count(), 1);
}

#[actix::test]
async fn a_reader_that_panics_is_replaced() {
    let world = World::new().await;
    let mut notifier = notifier_that_panics(&world, "consumer::reading", 30).await;
    notifies(&world, &notifier, 1000).await;
    says(&notifier, "the consumer's thread has ended").await;
    notifies(&world, &notifier, 2000).await;
    notifier.ready().await;
    assert_eq!(notifier.terminate().await.code(), Some(0));
}

#[actix::test]
async fn a_committer_that_panics_is_replaced() {
    let world = World::new().await;
    let mut notifier = notifier_that_panics(&world, "consumer::committing", 2).await;
    says(&notifier, "the consumer failed and will be rebuilt").await;
    notifies(&world, &notifier, 1000).await;
    assert_eq!(notifier.terminate().await.code(), Some(0));

    let mut notifier = notifier_that_panics(&world, "nowhere", 1).await;
    notifies(&world, &notifier, 2000).await;
    assert!(!notifier.log().contains("order 1000"), "its offset was committed");
    assert_eq!(notifier.terminate().await.code(), Some(0));
}

#[actix::test]
async fn a_producer_that_panics_is_replaced() {
    let world = World::new().await;
    let mut notifier = notifier_that_panics(&world, "producer::publishing", 1).await;
    world.producer.publish(vec![Record::new(&world.topic.name, "key", "no json")]).await.unwrap();
    says(&notifier, "the producer panicked and will be rebuilt").await;
    assert_eq!(world.dead_letters(1).await.len(), 1);
    notifies(&world, &notifier, 1000).await;
    assert_eq!(notifier.terminate().await.code(), Some(0));
}
