//! Orderly shutdown: every accepted command is answered, and the total time is limited.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use shared_actors::actor::{ActorOptions, Arbiters, AskError};
use shared_actors::shutdown::Shutdown;
use tokio::time::timeout;

use crate::support::{Work, Worker, eventually, metric, worker};

#[actix::test]
async fn shutdown_answers_everything_that_was_accepted() {
    let arbiters = Arbiters::new(1);
    let Worker { handle, door, begun } =
        worker(ActorOptions::new("stopping").capacity(100), &arbiters);
    let accepted: Vec<_> = (0..100)
        .map(|number| {
            let handle = handle.clone();
            actix::spawn(async move { handle.ask(Work::Wait(number)).await })
        })
        .collect();
    eventually("all are accepted", || begun.load(Ordering::SeqCst) == 100).await;

    let order = Arc::new(Mutex::new(Vec::new()));
    let (first, second) = (Arc::clone(&order), Arc::clone(&order));
    let draining = handle.clone();
    let shutdown = Shutdown::new(Duration::from_secs(20))
        .step("actors", async move {
            draining.drain().await;
            first.lock().unwrap().push("actors");
        })
        .step("pools", async move { second.lock().unwrap().push("pools") });
    let shutdown = actix::spawn(shutdown.run());
    door.add_permits(100);
    for (number, answer) in join_all(accepted).await.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), Ok(number), "what was accepted is answered");
    }
    assert!(shutdown.await.unwrap(), "in time");
    assert_eq!(*order.lock().unwrap(), ["actors", "pools"]);
    assert_eq!(
        handle.ask(Work::Echo(1)).await,
        Err(AskError::Unavailable),
        "what comes later is refused"
    );
    eventually("the actor is gone", || metric(r#"actor_live{actor="stopping"}"#) == 0).await;
}

#[actix::test]
async fn shutdown_is_bounded_when_an_actor_never_answers() {
    let arbiters = Arbiters::new(1);
    let Worker { handle, begun, .. } = worker(ActorOptions::new("stuck"), &arbiters);
    handle.tell(Work::Wait(1)).unwrap();
    eventually("it is at work", || begun.load(Ordering::SeqCst) == 1).await;
    let draining = handle.clone();
    let shutdown = Shutdown::new(Duration::from_millis(50))
        .step("actors", async move { draining.drain().await });
    assert!(!timeout(Duration::from_secs(20), shutdown.run()).await.expect("bounded"));
}
