//! Capacity and supervision: a full handle refuses commands, and a panic fails only the commands it
//! affects.

use std::env;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use shared_actors::actor::{ActorOptions, Arbiters, AskError, Handle};
use tokio::time::{sleep, timeout};

use crate::support::{Work, Worker, WorkerActor, eventually, metric, quick_restarts, worker};

#[actix::test]
async fn a_full_handle_answers_overloaded_at_once_and_never_queues_more() {
    let arbiters = Arbiters::new(1);
    let Worker { handle, door, begun } = worker(ActorOptions::new("full").capacity(8), &arbiters);
    let accepted: Vec<_> = (0..8)
        .map(|number| {
            let handle = handle.clone();
            actix::spawn(async move { handle.ask(Work::Wait(number)).await })
        })
        .collect();
    eventually("all eight are in the actor", || begun.load(Ordering::SeqCst) == 8).await;

    for number in 0..1000 {
        let refused =
            timeout(Duration::from_secs(5), handle.ask(Work::Echo(number))).await.expect("at once");
        assert!(matches!(refused, Err(AskError::Overloaded { .. })), "{refused:?}");
        assert!(matches!(handle.tell(Work::Echo(number)), Err(AskError::Overloaded { .. })));
    }
    assert_eq!(metric(r#"actor_messages_in_flight{actor="full"}"#), 8);
    assert_eq!(metric(r#"actor_mailbox_depth{actor="full"}"#), 0);
    assert_eq!(
        metric(r#"actor_messages_total{actor="full",message="work",outcome="overloaded"}"#),
        2000
    );

    door.add_permits(8);
    for (number, answer) in join_all(accepted).await.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), Ok(number));
    }
    assert_eq!(begun.load(Ordering::SeqCst), 8, "nothing that was refused was run");
    assert_eq!(handle.ask(Work::Echo(9)).await, Ok(9), "there is room again");
}

#[actix::test]
async fn a_panic_fails_only_its_callers_and_the_old_handle_works_again() {
    let arbiters = Arbiters::new(1);
    let panicking = worker(quick_restarts("panicking"), &arbiters);
    let neighbour = worker(quick_restarts("neighbour"), &arbiters);
    let neighbours_work = {
        let handle = neighbour.handle.clone();
        actix::spawn(async move { handle.ask(Work::Wait(1)).await })
    };
    eventually("the neighbour is at work", || neighbour.begun.load(Ordering::SeqCst) == 1).await;

    for restart in 1..=3 {
        assert_eq!(panicking.handle.ask(Work::Panic).await, Err(AskError::Unavailable));
        let answered = async {
            while panicking.handle.ask(Work::Echo(restart)).await != Ok(restart) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(20), answered).await.expect("the handle reaches the new actor");
        assert_eq!(metric(r#"actor_restarts_total{actor="panicking"}"#), restart);
        assert_eq!(metric(r#"actor_live{actor="panicking"}"#), 1);
    }
    assert_eq!(metric(r#"actor_messages_in_flight{actor="panicking"}"#), 0, "nothing leaks");

    neighbour.door.add_permits(1);
    assert_eq!(neighbours_work.await.unwrap(), Ok(1));
    assert_eq!(metric(r#"actor_restarts_total{actor="neighbour"}"#), 0);
}

#[actix::test]
async fn commands_queued_behind_a_panic_are_answered_unavailable_and_do_not_hang() {
    let arbiters = Arbiters::new(0);
    let Worker { handle, .. } = worker(quick_restarts("queued_behind"), &arbiters);
    // Nothing runs before the first await, because the actor lives on this thread. All commands are
    // therefore queued together.
    let asked = join_all((0..50).map(|number| {
        let work = if number == 25 { Work::Panic } else { Work::Echo(number) };
        handle.ask(work)
    }));
    let answers = timeout(Duration::from_secs(20), asked).await.expect("nobody hangs");
    for (number, answer) in answers.into_iter().enumerate() {
        let expected = if number < 25 { Ok(number) } else { Err(AskError::Unavailable) };
        assert_eq!(answer, expected, "command {number}");
    }
}

/// Set in the process that is expected to end.
const DOOMED: &str = "TEST_DOOMED_ACTOR";

/// Runs this test again in a separate process, where the actor lives.
#[actix::test]
async fn an_actor_that_can_never_be_built_ends_the_process_and_is_named() {
    if env::var_os(DOOMED).is_some() {
        let arbiters = Arbiters::new(1);
        let build =
            |_: &mut actix::Context<WorkerActor>| -> WorkerActor { panic!("it cannot be built") };
        let _handle = Handle::supervise(quick_restarts("doomed"), arbiters.pick(0), build);
        sleep(Duration::from_secs(30)).await;
        return;
    }
    let name = "handles::an_actor_that_can_never_be_built_ends_the_process_and_is_named";
    let mut process = Command::new(env::current_exe().unwrap());
    let ended = process.args(["--exact", name]).env(DOOMED, "1").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("exiting: the actor doomed failed 20 times in a row"), "{said}");
}
