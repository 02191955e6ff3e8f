//! Deadlines: a command does not run once its caller has given up, and a request's deadline reaches
//! every actor it asks.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, Arbiter, Context, Handler};
use futures::poll;
use shared_actors::actor::{ActorOptions, Arbiters, AskError, Command, Envelope, Handle};
use shared_actors::deadline;
use tokio::time::Instant;

use crate::support::{Work, Worker, WorkerActor, metric, worker, worker_on};

#[actix::test]
async fn a_command_past_its_deadline_is_not_run() {
    /// Blocks its arbiter's thread, so that later commands wait in the mailbox.
    struct Block(std::sync::mpsc::Receiver<()>);
    impl Command for Block {
        type Output = ();
        type Error = AskError;
        const NAME: &'static str = "block";
    }
    impl Handler<Envelope<Block>> for WorkerActor {
        type Result = ();
        fn handle(&mut self, envelope: Envelope<Block>, _: &mut Context<Self>) {
            let Some((Block(until), responder)) = envelope.begin() else { return };
            let _ = until.recv();
            responder.answer(Ok(()));
        }
    }

    let arbiters = Arbiters::new(1);
    let Worker { handle, begun, .. } = worker(ActorOptions::new("late"), &arbiters);
    let (unblock, until) = std::sync::mpsc::channel();
    handle.tell(Block(until)).unwrap();
    let soon = Instant::now() + Duration::from_millis(30);
    let late = deadline::scope(soon, handle.ask(Work::Echo(1))).await;
    assert_eq!(late, Err(AskError::DeadlineExceeded));
    unblock.send(()).unwrap();
    assert_eq!(handle.ask(Work::Echo(2)).await, Ok(2), "what comes later is run");
    assert_eq!(begun.load(Ordering::SeqCst), 1, "the late command was never begun");
    assert_eq!(metric(r#"actor_messages_total{actor="late",message="work",outcome="expired"}"#), 1);
}

#[actix::test]
async fn who_asked_is_told_that_it_was_too_late_although_the_timer_is_late_too() {
    let Worker { handle, begun, .. } = worker_on(&Arbiter::current(), ActorOptions::new("busy"));
    assert_eq!(handle.ask(Work::Echo(1)).await, Ok(1));
    let soon = Instant::now() + Duration::from_millis(5);
    let mut asked = pin!(deadline::scope(soon, handle.ask(Work::Echo(2))));
    assert!(poll!(asked.as_mut()).is_pending());
    // Neither the actor nor a timer can run meanwhile.
    while Instant::now() < soon {
        std::hint::spin_loop();
    }
    assert_eq!(asked.await, Err(AskError::DeadlineExceeded));
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

#[actix::test]
async fn the_deadline_of_a_request_reaches_the_actors_that_its_actor_asks() {
    /// Asks the next actor, which reports the deadline that it sees.
    struct Relay(Option<Handle<DeadlineActor>>);
    struct DeadlineActor;
    impl Command for Relay {
        type Output = Option<Instant>;
        type Error = AskError;
        const NAME: &'static str = "relay";
    }
    impl Actor for DeadlineActor {
        type Context = Context<Self>;
    }
    impl Handler<Envelope<Relay>> for DeadlineActor {
        type Result = ();
        fn handle(&mut self, envelope: Envelope<Relay>, _: &mut Context<Self>) {
            envelope.run(|Relay(next)| async move {
                match next {
                    Some(next) => next.ask(Relay(None)).await,
                    None => Ok(deadline::current()),
                }
            });
        }
    }
    let arbiters = Arbiters::new(2);
    let inner = Handle::supervise(ActorOptions::new("inner"), arbiters.pick(0), |_| DeadlineActor);
    let outer = Handle::supervise(ActorOptions::new("outer"), arbiters.pick(1), |_| DeadlineActor);
    let at = Instant::now() + Duration::from_secs(3);
    assert_eq!(deadline::scope(at, outer.ask(Relay(Some(inner)))).await, Ok(Some(at)));
}
