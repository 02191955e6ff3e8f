//! One actor per key: activation, passivation, panics, and fairness between keys.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Context, Handler};
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use shared_actors::actor::{
    Activity, Arbiters, AskError, Command, Envelope, KeyedHandle, KeyedOptions,
};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::support::{eventually, metric};

type Store = Arc<Mutex<HashMap<u32, usize>>>;

/// A counter for one key. The authoritative value is in `store`, as it would be in a database.
struct CounterActor {
    key: u32,
    store: Store,
    count: Option<usize>,
    /// The keys whose actor is working, to detect a second actor for a key.
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
        let count = self
            .count
            .unwrap_or_else(|| self.store.lock().unwrap().get(&self.key).copied().unwrap_or(0));
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

fn counters(options: KeyedOptions, arbiters: Arbiters) -> (KeyedHandle<u32, CounterActor>, Store) {
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
    let options =
        KeyedOptions { max_live: 10, idle: Duration::ZERO, ..KeyedOptions::new("passivated") };
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
    let passivations = metric(r#"actor_passivations_total{actor="passivated"}"#);
    assert!(passivations > KEYS as usize, "there was fire: {passivations} passivations");
    assert!(handle.live() <= 2 * (10 + 64), "{} actors live", handle.live());
    handle.drain().await;
    eventually("every actor is gone", || metric(r#"actor_live{actor="passivated"}"#) == 0).await;
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
    assert_eq!(metric(r#"actor_restarts_total{actor="keyed_panic"}"#), 1);
}

#[actix::test]
async fn one_busy_key_is_refused_while_the_others_are_served() {
    let options = KeyedOptions { capacity_per_key: 3, ..KeyedOptions::new("one_busy") };
    // On this thread, nothing runs before everything has been asked.
    let (handle, _store) = counters(options, Arbiters::new(0));
    let busy = join_all((0..20).map(|_| handle.ask(&1, Increment)));
    let other = handle.ask(&2, Increment);
    let (busy, other) = futures::join!(busy, other);
    assert_eq!(busy.iter().filter(|answer| answer.is_ok()).count(), 3);
    assert_eq!(
        busy.iter().filter(|answer| matches!(answer, Err(AskError::Overloaded { .. }))).count(),
        17
    );
    assert_eq!(other, Ok(1));
}

struct Hold;
impl Command for Hold {
    type Output = ();
    type Error = AskError;
    const NAME: &'static str = "hold";
}

/// Answers each command when its door opens. Keeps the activity of the last command for longer.
struct HoldingActor {
    door: Arc<Semaphore>,
    kept: Arc<Mutex<Option<Activity>>>,
}

impl Actor for HoldingActor {
    type Context = Context<Self>;
}

impl Handler<Envelope<Hold>> for HoldingActor {
    type Result = ();
    fn handle(&mut self, envelope: Envelope<Hold>, _: &mut Context<Self>) {
        let Some((Hold, responder)) = envelope.begin() else { return };
        let (door, kept) = (Arc::clone(&self.door), Arc::clone(&self.kept));
        actix::spawn(async move {
            door.acquire().await.unwrap().forget();
            *kept.lock().unwrap() = Some(responder.activity());
            responder.answer(Ok(()));
        });
    }
}

struct Holding {
    handle: KeyedHandle<u32, HoldingActor>,
    door: Arc<Semaphore>,
    kept: Arc<Mutex<Option<Activity>>>,
}

impl Holding {
    fn start(options: KeyedOptions) -> Self {
        let (door, kept) = (Arc::new(Semaphore::new(0)), Arc::default());
        let (own_door, own_kept) = (Arc::clone(&door), Arc::clone(&kept));
        let handle = KeyedHandle::new(options, Arbiters::new(1), move |_| HoldingActor {
            door: Arc::clone(&own_door),
            kept: Arc::clone(&own_kept),
        });
        Self { handle, door, kept }
    }

    async fn done(&self, key: u32) {
        self.door.add_permits(1);
        self.handle.ask(&key, Hold).await.unwrap();
        *self.kept.lock().unwrap() = None;
    }
}

#[actix::test]
async fn a_flood_that_is_refused_starts_no_actor_and_evicts_none() {
    let options = KeyedOptions { capacity: 2, max_live: 2, ..KeyedOptions::new("flooded") };
    let holding = Holding::start(options);
    holding.done(1).await;
    let in_flight = || metric(r#"actor_messages_in_flight{actor="flooded"}"#);
    // A command leaves its place after its answer.
    eventually("the first command has left", || in_flight() == 0).await;
    let busy = join_all((0..2).map(|_| holding.handle.ask(&2, Hold)));
    let flood = async {
        eventually("both places are taken", || in_flight() == 2).await;
        for key in 3..100 {
            let refused = holding.handle.ask(&key, Hold).await;
            assert!(matches!(refused, Err(AskError::Overloaded { .. })), "{refused:?}");
        }
        holding.door.add_permits(2);
    };
    let (busy, ()) = futures::join!(busy, flood);
    assert!(busy.iter().all(Result::is_ok), "{busy:?}");
    assert_eq!(metric(r#"actor_activations_total{actor="flooded"}"#), 2);
    assert_eq!(metric(r#"actor_passivations_total{actor="flooded"}"#), 0);
}

#[actix::test]
async fn who_asks_after_the_drain_starts_no_actor() {
    let holding = Holding::start(KeyedOptions::new("drained"));
    holding.done(1).await;
    holding.handle.drain().await;
    for key in 1..10 {
        assert_eq!(holding.handle.ask(&key, Hold).await, Err(AskError::Unavailable));
    }
    assert_eq!(holding.handle.live(), 0);
    assert_eq!(metric(r#"actor_activations_total{actor="drained"}"#), 1);
}

#[actix::test]
async fn an_actor_whose_work_outlives_the_answer_stays_in_memory() {
    let options = KeyedOptions {
        max_live: 1,
        idle: Duration::from_millis(20),
        ..KeyedOptions::new("outlived")
    };
    let holding = Holding::start(options);
    holding.door.add_permits(1);
    holding.handle.ask(&1, Hold).await.unwrap();
    let working = holding.kept.lock().unwrap().take();
    assert!(working.is_some());
    // Meanwhile another actor is activated, and then passivated because of `max_live` and the idle
    // time.
    holding.done(2).await;
    eventually("the other one is passivated", || holding.handle.live() == 1).await;
    holding.door.add_permits(1);
    holding.handle.ask(&1, Hold).await.unwrap();
    assert_eq!(
        metric(r#"actor_activations_total{actor="outlived"}"#),
        2,
        "it is still the first one"
    );
    drop((working, holding.kept.lock().unwrap().take()));
    eventually("it is passivated too", || holding.handle.live() == 0).await;
}

#[actix::test]
async fn many_idle_actors_leave_memory() {
    let options =
        KeyedOptions { idle: Duration::from_millis(50), ..KeyedOptions::new("many_idle") };
    let (handle, _store) = counters(options, Arbiters::new(1));
    let answers = join_all((0..2_000).map(|key| {
        let handle = handle.clone();
        async move { handle.ask(&key, Increment).await }
    }));
    assert!(answers.await.iter().all(Result::is_ok));
    eventually("all are passivated", || handle.live() == 0).await;
    assert_eq!(metric(r#"actor_passivations_total{actor="many_idle"}"#), 2_000);
}
