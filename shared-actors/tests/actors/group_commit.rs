//! Group commit: few batches for many commands, each answered once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Context, Handler};
use futures::future::{LocalBoxFuture, join_all};
use futures::stream::{self, StreamExt};
use shared_actors::actor::{
    ActorOptions, Arbiters, AskError, Command, Envelope, GroupCommit, Handle, Lane, LaneLimits,
};
use shared_actors::deadline;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{eventually, metric, quick_restarts};

/// Records each batch, in which numbers weigh what they are, up to 100; a batch takes as long as a turn of the event loop.
struct LedgerActor {
    lane: Lane<Record>,
    batches: Arc<Mutex<Vec<Vec<usize>>>>,
}

struct Record(usize);

impl Command for Record {
    type Output = usize;
    type Error = AskError;
    const NAME: &'static str = "record";
}

impl Actor for LedgerActor {
    type Context = Context<Self>;
}

impl Handler<Envelope<Record>> for LedgerActor {
    type Result = ();
    fn handle(&mut self, envelope: Envelope<Record>, ctx: &mut Context<Self>) {
        self.accept(envelope, ctx);
    }
}

impl GroupCommit<Record> for LedgerActor {
    fn lane(&mut self) -> &mut Lane<Record> {
        &mut self.lane
    }

    fn weight(Record(number): &Record) -> usize {
        (*number).min(100)
    }

    fn commit(&mut self, batch: Vec<Record>) -> LocalBoxFuture<'static, Vec<Result<usize, AskError>>> {
        let batches = Arc::clone(&self.batches);
        Box::pin(async move {
            sleep(Duration::from_millis(1)).await;
            let numbers: Vec<usize> = batch.into_iter().map(|Record(number)| number).collect();
            assert!(!numbers.contains(&usize::MAX), "as the test wants it");
            batches.lock().unwrap().push(numbers.clone());
            numbers.into_iter().map(|number| Ok(number * 2)).collect()
        })
    }
}

#[actix::test]
async fn ten_thousand_commands_at_64_in_flight_take_far_fewer_batches_and_are_answered_once_each() {
    const COMMANDS: usize = 10_000;
    let arbiters = Arbiters::new(1);
    let batches = Arc::new(Mutex::new(Vec::new()));
    let ledger = Arc::clone(&batches);
    let handle = Handle::supervise(ActorOptions::new("ledger"), arbiters.pick(0), move |_| LedgerActor {
        lane: Lane::new(LaneLimits { max_batch: 48, concurrency: 1 }),
        batches: Arc::clone(&ledger),
    });
    let answers: Vec<_> = stream::iter(0..COMMANDS)
        .map(|number| {
            let handle = &handle;
            async move { (number, handle.ask(Record(number)).await) }
        })
        .buffer_unordered(64)
        .collect()
        .await;
    assert_eq!(answers.len(), COMMANDS);
    for (number, answer) in answers {
        assert_eq!(answer, Ok(number * 2), "each is answered with its own answer");
    }
    let batches = batches.lock().unwrap();
    assert!(batches.len() < COMMANDS / 10, "{} batches for {COMMANDS} commands", batches.len());
    assert!(batches.iter().all(|batch| batch.len() <= 48), "no batch is above its cap");
    let done: Vec<usize> = batches.iter().flatten().copied().collect();
    assert_eq!(done, (0..COMMANDS).collect::<Vec<_>>(), "each was done once, in the order of asking");
    assert_eq!(metric(r#"actor_batch_size_count{actor="ledger",message="record"}"#), batches.len());
}

#[actix::test]
async fn a_batch_that_panics_fails_its_commands_and_the_next_batch_is_done() {
    let arbiters = Arbiters::new(0);
    let batches = Arc::new(Mutex::new(Vec::new()));
    let ledger = Arc::clone(&batches);
    let handle = Handle::supervise(quick_restarts("panicking_ledger"), arbiters.pick(0), move |_| {
        LedgerActor { lane: Lane::default(), batches: Arc::clone(&ledger) }
    });
    let asked = join_all([1, usize::MAX, 3].map(|number| handle.ask(Record(number))));
    let answers = timeout(Duration::from_secs(20), asked).await.expect("nobody hangs");
    assert!(answers.iter().all(|answer| *answer == Err(AskError::Unavailable)), "{answers:?}");
    assert_eq!(handle.ask(Record(4)).await, Ok(8), "the actor lives on");
    assert_eq!(*batches.lock().unwrap(), [[4]]);
    assert_eq!(metric(r#"actor_restarts_total{actor="panicking_ledger"}"#), 0);
}

/// Answers each batch with the deadline that it sees, once the test opens the door.
struct SlowActor {
    lane: Lane<Ask>,
    door: Arc<Semaphore>,
}

struct Ask;

impl Command for Ask {
    type Output = Option<Instant>;
    type Error = AskError;
    const NAME: &'static str = "ask";
}

impl Actor for SlowActor {
    type Context = Context<Self>;
}

impl Handler<Envelope<Ask>> for SlowActor {
    type Result = ();
    fn handle(&mut self, envelope: Envelope<Ask>, ctx: &mut Context<Self>) {
        self.accept(envelope, ctx);
    }
}

impl GroupCommit<Ask> for SlowActor {
    fn lane(&mut self) -> &mut Lane<Ask> {
        &mut self.lane
    }

    fn commit(&mut self, batch: Vec<Ask>) -> LocalBoxFuture<'static, Vec<Result<Option<Instant>, AskError>>> {
        let door = Arc::clone(&self.door);
        Box::pin(async move {
            door.acquire().await.unwrap().forget();
            batch.iter().map(|Ask| Ok(deadline::current())).collect()
        })
    }
}

fn slow(name: &'static str, capacity: usize, arbiters: &Arbiters) -> (Handle<SlowActor>, Arc<Semaphore>) {
    let door = Arc::new(Semaphore::new(0));
    let own = Arc::clone(&door);
    let handle = Handle::supervise(ActorOptions::new(name).capacity(capacity), arbiters.pick(0), move |_| {
        SlowActor { lane: Lane::default(), door: Arc::clone(&own) }
    });
    (handle, door)
}

#[actix::test]
async fn a_batch_has_the_latest_deadline_of_its_commands() {
    let arbiters = Arbiters::new(0);
    let (handle, door) = slow("deadlines", 10, &arbiters);
    door.add_permits(1);
    let now = Instant::now();
    let asked = join_all([5, 7, 6].map(|seconds| {
        let at = now + Duration::from_secs(seconds);
        deadline::scope(at, handle.ask(Ask))
    }));
    let latest = now + Duration::from_secs(7);
    assert_eq!(asked.await, [Ok(Some(latest)); 3]);
}

#[actix::test]
async fn commands_that_expire_behind_a_slow_batch_give_back_their_places() {
    let arbiters = Arbiters::new(0);
    let (handle, door) = slow("places", 2, &arbiters);
    let slow = actix::spawn({
        let handle = handle.clone();
        async move { handle.ask(Ask).await }
    });
    eventually("the slow batch has begun", || metric(r#"actor_messages_in_flight{actor="places"}"#) == 1)
        .await;
    let soon = Instant::now() + Duration::from_millis(20);
    let waiting = deadline::scope(soon, handle.ask(Ask)).await;
    assert_eq!(waiting, Err(AskError::DeadlineExceeded), "it waited behind the slow batch");
    eventually("its place is free", || metric(r#"actor_mailbox_depth{actor="places"}"#) == 0).await;
    let third = actix::spawn({
        let handle = handle.clone();
        async move { handle.ask(Ask).await }
    });
    eventually("the third is admitted", || metric(r#"actor_mailbox_depth{actor="places"}"#) == 1).await;
    door.add_permits(2);
    assert!(slow.await.unwrap().is_ok() && third.await.unwrap().is_ok());
}

#[actix::test]
async fn a_batch_weighs_no_more_than_it_may_and_a_heavier_command_is_one_of_its_own() {
    let arbiters = Arbiters::new(0);
    let batches = Arc::new(Mutex::new(Vec::new()));
    let ledger = Arc::clone(&batches);
    let options = ActorOptions::new("weighing_ledger");
    let handle = Handle::supervise(options, arbiters.pick(0), move |_| LedgerActor {
        lane: Lane::default().max_weight(10),
        batches: Arc::clone(&ledger),
    });
    let numbers = [4, 6, 1, 99, 2, 8, 1, 1];
    let asked = join_all(numbers.map(|number| handle.ask(Record(number))));
    let answers = timeout(Duration::from_secs(20), asked).await.expect("nobody hangs");
    assert_eq!(answers, numbers.map(|number| Ok(number * 2)));
    assert_eq!(*batches.lock().unwrap(), [&[4, 6][..], &[1], &[99], &[2, 8], &[1, 1]]);
}
