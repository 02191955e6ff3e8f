//! Group commit: few batches for many commands, each answered once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Context, Handler};
use futures::future::{LocalBoxFuture, join_all};
use futures::stream::{self, StreamExt};
use shared_actors::actor::{
    ActorOptions, Arbiters, AskError, Command, Envelope, GroupCommit, Handle, Lane, LaneLimits,
};
use tokio::time::{sleep, timeout};

use crate::support::{metric, quick_restarts};

/// Records each batch; a batch takes as long as a turn of the event loop.
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
    let answered = async {
        while handle.ask(Record(4)).await != Ok(8) {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(20), answered).await.expect("the actor is back");
    assert_eq!(*batches.lock().unwrap(), [[4]]);
}
