//! Group commit: few batches for many commands, with one answer per command.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use futures::stream::{self, StreamExt};
use shared_actors::actor::{
    ActorOptions, Arbiters, AskError, BatchActor, BatchLimits, Command, Commit, Handle,
};
use shared_actors::deadline;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{eventually, metric, quick_restarts};

/// Records each batch. A number weighs as much as its value, up to 100. A batch takes one turn of
/// the event loop.
struct Ledger {
    limits: BatchLimits,
    batches: Mutex<Vec<Vec<usize>>>,
}

impl Ledger {
    fn of(limits: BatchLimits) -> Arc<Self> {
        Arc::new(Self { limits, batches: Mutex::default() })
    }
}

struct Record(usize);

impl Command for Record {
    type Output = usize;
    type Error = AskError;
    const NAME: &'static str = "record";
}

impl Commit<Record> for Ledger {
    fn limits(&self) -> BatchLimits {
        self.limits
    }

    fn weight(Record(number): &Record) -> usize {
        (*number).min(100)
    }

    async fn commit(&self, batch: Vec<Record>) -> Vec<Result<usize, AskError>> {
        sleep(Duration::from_millis(1)).await;
        let numbers: Vec<usize> = batch.into_iter().map(|Record(number)| number).collect();
        assert!(!numbers.contains(&usize::MAX), "as the test wants it");
        self.batches.lock().unwrap().push(numbers.clone());
        numbers
            .into_iter()
            .filter(|number| *number != UNANSWERED)
            .map(|number| Ok(number * 2))
            .collect()
    }
}

/// A number that the ledger does not answer.
const UNANSWERED: usize = usize::MAX - 1;

#[actix::test]
async fn ten_thousand_commands_at_64_in_flight_take_far_fewer_batches_and_are_answered_once_each() {
    const COMMANDS: usize = 10_000;
    let arbiters = Arbiters::new(1);
    let ledger = Ledger::of(BatchLimits { commands: 48, ..BatchLimits::default() });
    let handle =
        BatchActor::start(ActorOptions::new("ledger"), arbiters.pick(0), Arc::clone(&ledger));
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
    let batches = ledger.batches.lock().unwrap();
    assert!(batches.len() < COMMANDS / 10, "{} batches for {COMMANDS} commands", batches.len());
    assert!(batches.iter().all(|batch| batch.len() <= 48), "no batch is above its cap");
    let done: Vec<usize> = batches.iter().flatten().copied().collect();
    assert_eq!(
        done,
        (0..COMMANDS).collect::<Vec<_>>(),
        "each was done once, in the order of asking"
    );
    assert_eq!(metric(r#"actor_batch_size_count{actor="ledger",message="record"}"#), batches.len());
}

#[actix::test]
async fn a_batch_that_panics_fails_its_commands_and_the_next_batch_is_done() {
    let arbiters = Arbiters::new(0);
    let ledger = Ledger::of(BatchLimits::default());
    let handle = BatchActor::start(
        quick_restarts("panicking_ledger"),
        arbiters.pick(0),
        Arc::clone(&ledger),
    );
    let asked = join_all([1, usize::MAX, 3].map(|number| handle.ask(Record(number))));
    let answers = timeout(Duration::from_secs(20), asked).await.expect("nobody hangs");
    assert!(answers.iter().all(|answer| *answer == Err(AskError::Unavailable)), "{answers:?}");
    assert_eq!(handle.ask(Record(4)).await, Ok(8), "the actor lives on");
    assert_eq!(*ledger.batches.lock().unwrap(), [[4]]);
    assert_eq!(metric(r#"actor_restarts_total{actor="panicking_ledger"}"#), 0);
}

#[actix::test]
async fn a_batch_that_lacks_an_answer_fails_as_a_whole_for_nobody_knows_whose_it_is() {
    let arbiters = Arbiters::new(0);
    let options = quick_restarts("forgetful_ledger");
    let handle = BatchActor::start(options, arbiters.pick(0), Ledger::of(BatchLimits::default()));
    let asked = join_all([1, UNANSWERED, 3].map(|number| handle.ask(Record(number))));
    let answers = timeout(Duration::from_secs(20), asked).await.expect("nobody hangs");
    assert!(answers.iter().all(|answer| *answer == Err(AskError::Unavailable)), "{answers:?}");
    assert_eq!(handle.ask(Record(4)).await, Ok(8), "the actor lives on");
}

/// Answers each batch with the deadline that it sees, once the test opens the door.
struct Slow {
    door: Semaphore,
}

struct Ask;

impl Command for Ask {
    type Output = Option<Instant>;
    type Error = AskError;
    const NAME: &'static str = "ask";
}

impl Commit<Ask> for Slow {
    async fn commit(&self, batch: Vec<Ask>) -> Vec<Result<Option<Instant>, AskError>> {
        self.door.acquire().await.unwrap().forget();
        batch.iter().map(|Ask| Ok(deadline::current())).collect()
    }
}

fn slow(
    name: &'static str,
    capacity: usize,
    arbiters: &Arbiters,
) -> (Handle<BatchActor<Slow>>, Arc<Slow>) {
    let slow = Arc::new(Slow { door: Semaphore::new(0) });
    let options = ActorOptions::new(name).capacity(capacity);
    (BatchActor::start(options, arbiters.pick(0), Arc::clone(&slow)), slow)
}

#[actix::test]
async fn a_batch_has_the_latest_deadline_of_its_commands() {
    let arbiters = Arbiters::new(0);
    let (handle, slow) = slow("deadlines", 10, &arbiters);
    slow.door.add_permits(1);
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
    let (handle, actor) = slow("places", 2, &arbiters);
    let slow = actix::spawn({
        let handle = handle.clone();
        async move { handle.ask(Ask).await }
    });
    eventually("the slow batch has begun", || {
        metric(r#"actor_messages_in_flight{actor="places"}"#) == 1
    })
    .await;
    let soon = Instant::now() + Duration::from_millis(20);
    let waiting = deadline::scope(soon, handle.ask(Ask)).await;
    assert_eq!(waiting, Err(AskError::DeadlineExceeded), "it waited behind the slow batch");
    eventually("its place is free", || metric(r#"actor_mailbox_depth{actor="places"}"#) == 0).await;
    let third = actix::spawn({
        let handle = handle.clone();
        async move { handle.ask(Ask).await }
    });
    eventually("the third is admitted", || metric(r#"actor_mailbox_depth{actor="places"}"#) == 1)
        .await;
    actor.door.add_permits(2);
    assert!(slow.await.unwrap().is_ok() && third.await.unwrap().is_ok());
}

#[actix::test]
async fn a_batch_weighs_no_more_than_it_may_and_a_heavier_command_is_one_of_its_own() {
    let arbiters = Arbiters::new(0);
    let ledger = Ledger::of(BatchLimits { weight: 10, ..BatchLimits::default() });
    let options = ActorOptions::new("weighing_ledger");
    let handle = BatchActor::start(options, arbiters.pick(0), Arc::clone(&ledger));
    let numbers = [4, 6, 1, 99, 2, 8, 1, 1];
    let asked = join_all(numbers.map(|number| handle.ask(Record(number))));
    let answers = timeout(Duration::from_secs(20), asked).await.expect("nobody hangs");
    assert_eq!(answers, numbers.map(|number| Ok(number * 2)));
    assert_eq!(*ledger.batches.lock().unwrap(), [&[4, 6][..], &[1], &[99], &[2, 8], &[1, 1]]);
}
