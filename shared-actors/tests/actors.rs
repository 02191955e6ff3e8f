//! What the actor layer promises to its users, each promise as a test.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Context, Handler};
use futures::future::{LocalBoxFuture, join_all};
use futures::stream::{self, StreamExt};
use shared_actors::actor::{
    ActorOptions, Arbiters, AskError, Backoff, Command, Envelope, GroupCommit, Handle, KeyedHandle,
    KeyedOptions, Lane, LaneLimits,
};
use shared_actors::{deadline, shutdown::Shutdown};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

/// What a worker is told to do; each step that it takes is recorded.
enum Work {
    /// Answers at once.
    Echo(usize),
    /// Answers when the test opens the door.
    Wait(usize),
    /// Never answers.
    Panic,
}

impl Command for Work {
    type Output = usize;
    type Error = AskError;
    const NAME: &'static str = "work";
}

struct WorkerActor {
    door: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
}

impl Actor for WorkerActor {
    type Context = Context<Self>;
}

impl Handler<Envelope<Work>> for WorkerActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Work>, _: &mut Context<Self>) {
        let Some((work, responder)) = envelope.begin() else { return };
        self.begun.fetch_add(1, Ordering::SeqCst);
        match work {
            Work::Echo(number) => responder.answer(Ok(number)),
            Work::Wait(number) => {
                let door = Arc::clone(&self.door);
                actix::spawn(async move {
                    let _ = door.acquire().await.unwrap();
                    responder.answer(Ok(number));
                });
            }
            Work::Panic => panic!("as the test wants it"),
        }
    }
}

struct Worker {
    handle: Handle<WorkerActor>,
    door: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
}

fn worker(options: ActorOptions, arbiters: &Arbiters) -> Worker {
    let door = Arc::new(Semaphore::new(0));
    let begun = Arc::new(AtomicUsize::new(0));
    let (actor_door, actor_begun) = (Arc::clone(&door), Arc::clone(&begun));
    let handle = Handle::supervise(options, arbiters.pick(0), move |_| WorkerActor {
        door: Arc::clone(&actor_door),
        begun: Arc::clone(&actor_begun),
    });
    Worker { handle, door, begun }
}

/// Waits until `condition` holds; a test that hangs fails here.
async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// The value of a metric line, by the beginning of the line.
fn metric(line: &str) -> f64 {
    let text = prometheus::TextEncoder::new().encode_to_string(&prometheus::gather()).unwrap();
    let found = text.lines().find_map(|candidate| candidate.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no metric {line} in\n{text}"))
}

fn quick_restarts(name: &'static str) -> ActorOptions {
    let backoff = Backoff { first: Duration::from_millis(5), max: Duration::from_millis(50) };
    ActorOptions::new(name).backoff(backoff)
}

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
        let refused = timeout(Duration::from_secs(5), handle.ask(Work::Echo(number))).await.expect("at once");
        assert!(matches!(refused, Err(AskError::Overloaded { .. })), "{refused:?}");
        assert!(matches!(handle.tell(Work::Echo(number)), Err(AskError::Overloaded { .. })));
    }
    assert_eq!(metric(r#"actor_messages_in_flight{actor="full"}"#) as usize, 8);
    assert_eq!(metric(r#"actor_mailbox_depth{actor="full"}"#) as usize, 0);
    assert_eq!(
        metric(r#"actor_messages_total{actor="full",message="work",outcome="overloaded"}"#) as usize,
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
        assert_eq!(metric(r#"actor_restarts_total{actor="panicking"}"#) as usize, restart);
        assert_eq!(metric(r#"actor_live{actor="panicking"}"#) as usize, 1);
    }
    assert_eq!(metric(r#"actor_messages_in_flight{actor="panicking"}"#) as usize, 0, "nothing leaks");

    neighbour.door.add_permits(1);
    assert_eq!(neighbours_work.await.unwrap(), Ok(1));
    assert_eq!(metric(r#"actor_restarts_total{actor="neighbour"}"#) as usize, 0);
}

#[actix::test]
async fn commands_queued_behind_a_panic_are_answered_unavailable_and_do_not_hang() {
    let arbiters = Arbiters::new(0);
    let Worker { handle, .. } = worker(quick_restarts("queued_behind"), &arbiters);
    // Nothing runs before the first await, as the actor lives on this very thread: all of these are queued together.
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

#[actix::test]
async fn a_command_past_its_deadline_is_not_run() {
    /// Keeps its arbiter's thread busy, so that what is asked meanwhile waits in the mailbox.
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
    assert_eq!(metric(r#"actor_messages_total{actor="late",message="work",outcome="expired"}"#) as usize, 1);
}

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
    assert_eq!(metric(r#"actor_batch_size_count{actor="ledger",message="record"}"#) as usize, batches.len());
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

/// A counter a key; the truth is in `store`, as it would be in a database.
struct CounterActor {
    key: u32,
    store: Arc<Mutex<HashMap<u32, usize>>>,
    count: Option<usize>,
    /// The keys that have an actor at work, to notice a second one.
    at_work: Arc<Mutex<HashSet<u32>>>,
}

struct Increment;
impl Command for Increment {
    type Output = usize;
    type Error = AskError;
    const NAME: &'static str = "increment";
}

impl Actor for CounterActor {
    type Context = Context<Self>;
}

impl Handler<Envelope<Increment>> for CounterActor {
    type Result = ();
    fn handle(&mut self, envelope: Envelope<Increment>, ctx: &mut Context<Self>) {
        use actix::{ActorFutureExt, AsyncContext, WrapFuture};
        let Some((Increment, responder)) = envelope.begin() else { return };
        assert!(self.at_work.lock().unwrap().insert(self.key), "two actors of one key are at work");
        let count =
            self.count.unwrap_or_else(|| self.store.lock().unwrap().get(&self.key).copied().unwrap_or(0));
        let (key, store) = (self.key, Arc::clone(&self.store));
        let write = async move {
            tokio::task::yield_now().await;
            store.lock().unwrap().insert(key, count + 1);
        };
        ctx.wait(responder.scope(write).into_actor(self).map(move |(), actor, _| {
            actor.count = Some(count + 1);
            actor.at_work.lock().unwrap().remove(&actor.key);
            responder.answer(Ok(count + 1));
        }));
    }
}

fn counters(
    options: KeyedOptions,
    arbiters: Arbiters,
) -> (KeyedHandle<u32, CounterActor>, Arc<Mutex<HashMap<u32, usize>>>) {
    let store = Arc::new(Mutex::new(HashMap::new()));
    let at_work = Arc::new(Mutex::new(HashSet::new()));
    let actors_store = Arc::clone(&store);
    let handle = KeyedHandle::new(options, arbiters, move |key| CounterActor {
        key: *key,
        store: Arc::clone(&actors_store),
        count: None,
        at_work: Arc::clone(&at_work),
    });
    (handle, store)
}

#[actix::test]
async fn passivation_under_fire_loses_nothing() {
    const KEYS: u32 = 400;
    const ROUNDS: u32 = 50;
    let options = KeyedOptions { max_live: 10, idle: Duration::ZERO, ..KeyedOptions::new("passivated") };
    let (handle, store) = counters(options, Arbiters::new(2));
    let answers: Vec<_> = stream::iter(0..KEYS * ROUNDS)
        .map(|number| {
            let handle = &handle;
            async move { handle.ask(&(number % KEYS), Increment).await }
        })
        .buffer_unordered(64)
        .collect()
        .await;
    let failed: Vec<_> = answers.iter().filter(|answer| answer.is_err()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    for (key, count) in &*store.lock().unwrap() {
        assert_eq!(*count, ROUNDS as usize, "key {key}");
    }
    let passivations = metric(r#"actor_passivations_total{actor="passivated"}"#) as usize;
    assert!(passivations > KEYS as usize, "there was fire: {passivations} passivations");
    assert!(handle.live() <= 2 * (10 + 64), "{} actors live", handle.live());
    handle.drain().await;
    eventually("every actor is gone", || metric(r#"actor_live{actor="passivated"}"#) == 0.0).await;
}

#[actix::test]
async fn an_idle_actor_leaves_memory_and_comes_back_with_its_state() {
    let options = KeyedOptions { idle: Duration::from_millis(20), ..KeyedOptions::new("idle") };
    let (handle, _store) = counters(options, Arbiters::new(2));
    assert_eq!(handle.ask(&7, Increment).await, Ok(1));
    eventually("the actor is passivated", || handle.live() == 0).await;
    assert_eq!(handle.ask(&7, Increment).await, Ok(2));
}

#[actix::test]
async fn a_panic_of_one_key_fails_its_caller_and_the_key_works_again() {
    struct Break;
    impl Command for Break {
        type Output = ();
        type Error = AskError;
        const NAME: &'static str = "break";
    }
    impl Handler<Envelope<Break>> for CounterActor {
        type Result = ();
        fn handle(&mut self, _: Envelope<Break>, _: &mut Context<Self>) {
            panic!("as the test wants it");
        }
    }
    let (handle, _store) = counters(KeyedOptions::new("keyed_panic"), Arbiters::new(1));
    assert_eq!(handle.ask(&1, Increment).await, Ok(1));
    assert_eq!(handle.ask(&2, Increment).await, Ok(1));
    assert_eq!(handle.ask(&1, Break).await, Err(AskError::Unavailable));
    assert_eq!(handle.ask(&2, Increment).await, Ok(2), "the neighbour never noticed");
    let answered = async {
        while handle.ask(&1, Increment).await != Ok(2) {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), answered).await.expect("the key has a new actor");
    assert_eq!(metric(r#"actor_restarts_total{actor="keyed_panic"}"#) as usize, 1);
}

#[actix::test]
async fn one_busy_key_is_refused_while_the_others_are_served() {
    let options = KeyedOptions { capacity_per_key: 3, ..KeyedOptions::new("one_busy") };
    // On this very thread nothing is done before everything has been asked.
    let (handle, _store) = counters(options, Arbiters::new(0));
    let busy = join_all((0..20).map(|_| handle.ask(&1, Increment)));
    let other = handle.ask(&2, Increment);
    let (busy, other) = futures::join!(busy, other);
    assert_eq!(busy.iter().filter(|answer| answer.is_ok()).count(), 3);
    assert_eq!(busy.iter().filter(|answer| matches!(answer, Err(AskError::Overloaded { .. }))).count(), 17);
    assert_eq!(other, Ok(1));
}

#[actix::test]
async fn shutdown_answers_everything_that_was_accepted() {
    let arbiters = Arbiters::new(1);
    let Worker { handle, door, begun } = worker(ActorOptions::new("stopping").capacity(100), &arbiters);
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
    assert_eq!(handle.ask(Work::Echo(1)).await, Err(AskError::Unavailable), "what comes later is refused");
    eventually("the actor is gone", || metric(r#"actor_live{actor="stopping"}"#) == 0.0).await;
}

#[actix::test]
async fn shutdown_is_bounded_when_an_actor_never_answers() {
    let arbiters = Arbiters::new(1);
    let Worker { handle, begun, .. } = worker(ActorOptions::new("stuck"), &arbiters);
    handle.tell(Work::Wait(1)).unwrap();
    eventually("it is at work", || begun.load(Ordering::SeqCst) == 1).await;
    let draining = handle.clone();
    let shutdown =
        Shutdown::new(Duration::from_millis(50)).step("actors", async move { draining.drain().await });
    assert!(!timeout(Duration::from_secs(20), shutdown.run()).await.expect("bounded"));
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
