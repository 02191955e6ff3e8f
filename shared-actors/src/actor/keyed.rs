//! One actor per key. Actors are activated on demand. They are passivated when idle, or when too
//! many of them are live.
//!
//! Passivation drops an idle actor, so an actor must be able to load everything it needs again. It
//! never drops an actor with a queued or running command, or with an [`Activity`](super::Activity)
//! of one. A key therefore never has two working actors in one process. A refused command activates
//! no actor and evicts none.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Context, Handler};
use lru::LruCache;
use tokio::time::{Instant, interval};

use super::arbiters::Arbiters;
use super::command::Command;
use super::envelope::Envelope;
use super::gate::{Gate, Pending};
use super::supervisor::LiveCount;

/// How many of the least recently used actors are checked for idle ones when there are too many.
const EVICTION_SCAN: usize = 16;
/// How many actors are passivated while holding the lock once. Every command takes this lock.
const PASSIVATION_SLICE: usize = 256;

/// The limits of the actors of one type.
#[derive(Clone, Debug)]
pub struct KeyedOptions {
    /// The value of the label `actor` in metrics.
    pub name: &'static str,
    /// How many commands may be queued or running at once, over all keys.
    pub capacity: usize,
    /// How many commands may be queued or running at once for one key.
    pub capacity_per_key: usize,
    /// How many actors stay in memory. There are more only while the least recently used ones are
    /// busy.
    pub max_live: usize,
    /// How long an actor without commands stays in memory.
    pub idle: Duration,
    /// How long an answer may take if the asking task has no earlier deadline.
    pub deadline: Duration,
    /// The retry delay that `Overloaded` reports to the caller.
    pub retry_after: Duration,
}

impl KeyedOptions {
    /// 10,000 commands, 64 per key, 50,000 live actors, idle for 5 minutes, deadline 10 s, retry
    /// after 1 s.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            capacity: 10_000,
            capacity_per_key: 64,
            max_live: 50_000,
            idle: Duration::from_mins(5),
            deadline: Duration::from_secs(10),
            retry_after: Duration::from_secs(1),
        }
    }
}

/// Sends commands to the actor of a key. Cheap to clone.
pub struct KeyedHandle<K, A: Actor> {
    shared: Arc<Shared<K, A>>,
}

impl<K, A: Actor> Clone for KeyedHandle<K, A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<K, A: Actor> {
    options: KeyedOptions,
    gate: Gate,
    arbiters: Arbiters,
    hasher: RandomState,
    factory: Arc<dyn Fn(&K) -> A + Send + Sync>,
    live: Mutex<LruCache<K, Live<A>>>,
}

/// An actor in memory.
struct Live<A: Actor> {
    address: Addr<A>,
    used: Instant,
    /// Each queued or running command holds a clone, and so does each `Activity`.
    activity: Arc<()>,
    _count: LiveCount,
}

impl<A: Actor> Live<A> {
    fn commands(&self) -> usize {
        Arc::strong_count(&self.activity) - 1
    }
}

impl<K, A> KeyedHandle<K, A>
where
    K: Hash + Eq + Clone + Send + 'static,
    A: Actor<Context = Context<A>>,
{
    /// A handle to actors that `factory` builds per key, spread over `arbiters`. Must be called
    /// within a running actix System.
    ///
    /// # Panics
    /// Panics if `capacity_per_key` or `max_live` is 0.
    pub fn new(
        options: KeyedOptions,
        arbiters: Arbiters,
        factory: impl Fn(&K) -> A + Send + Sync + 'static,
    ) -> Self {
        assert!(
            options.capacity_per_key > 0 && options.max_live > 0,
            "{} must admit commands",
            options.name
        );
        let gate = Gate::new(options.name, options.capacity, options.deadline, options.retry_after);
        let shared = Arc::new(Shared {
            gate,
            arbiters,
            hasher: RandomState::new(),
            factory: Arc::new(factory),
            live: Mutex::new(LruCache::unbounded()),
            options,
        });
        let weak = Arc::downgrade(&shared);
        let period = (shared.options.idle / 4).max(Duration::from_millis(10));
        shared.arbiters.pick(0).spawn(async move {
            let mut ticks = interval(period);
            loop {
                ticks.tick().await;
                let Some(shared) = weak.upgrade() else { return };
                shared.passivate_idle().await;
            }
        });
        Self { shared }
    }

    /// Asks the actor of `key`. Activates the actor first if it is not in memory.
    ///
    /// # Errors
    /// The actor's own error, or a [`super::AskError`] converted to the command's error type.
    /// `Overloaded` is also returned if this key is at its capacity.
    pub async fn ask<C>(&self, key: &K, command: C) -> Result<C::Output, C::Error>
    where
        C: Command,
        A: Handler<Envelope<C>>,
        A::Context: ToEnvelope<A, Envelope<C>>,
    {
        self.send(key, command)?.answer().await
    }

    /// Admits no more commands, waits until all admitted ones are answered, then drops every actor.
    pub async fn drain(&self) {
        self.shared.gate.drain().await;
        self.shared.lock().clear();
    }

    /// How many actors are in memory.
    pub fn live(&self) -> usize {
        self.shared.lock().len()
    }

    /// Takes the activity under the lock. It prevents passivation before the actor has the command.
    fn send<C>(&self, key: &K, command: C) -> Result<Pending<C>, C::Error>
    where
        C: Command,
        A: Handler<Envelope<C>>,
        A::Context: ToEnvelope<A, Envelope<C>>,
    {
        let shared = &*self.shared;
        let permit = shared.gate.permit::<C>()?;
        let Some((address, activity)) = shared.enter(key) else {
            return Err(shared.gate.refuse::<C>().into());
        };
        let (envelope, pending): (Envelope<C>, _) =
            shared.gate.seal(permit, command, Some(activity));
        address.do_send(envelope);
        Ok(pending)
    }
}

impl<K, A> Shared<K, A>
where
    K: Hash + Eq + Clone + Send + 'static,
    A: Actor<Context = Context<A>>,
{
    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<K, Live<A>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The actor of `key`, and the activity that keeps it in memory. `None` if the key is at its
    /// capacity.
    fn enter(&self, key: &K) -> Option<(Addr<A>, Arc<()>)> {
        let mut actors = self.lock();
        let actor = self.activate(&mut actors, key);
        if actor.commands() >= self.options.capacity_per_key {
            return None;
        }
        actor.used = Instant::now();
        Some((actor.address.clone(), Arc::clone(&actor.activity)))
    }

    fn activate<'a>(&self, actors: &'a mut LruCache<K, Live<A>>, key: &K) -> &'a mut Live<A> {
        let panicked = actors.peek(key).is_some_and(|actor| !actor.address.connected());
        if panicked {
            actors.pop(key);
            self.gate.metrics.restarts.inc();
        } else if actors.len() >= self.options.max_live && !actors.contains(key) {
            self.make_room(actors);
        }
        actors.get_or_insert_mut_ref(key, || self.start(key))
    }

    fn start(&self, key: &K) -> Live<A> {
        self.gate.metrics.activations.inc();
        let (factory, own_key) = (Arc::clone(&self.factory), key.clone());
        #[expect(clippy::cast_possible_truncation, reason = "any part of the hash will do")]
        let arbiter = self.arbiters.pick(self.hasher.hash_one(key) as usize);
        Live {
            address: A::start_in_arbiter(arbiter, move |_| factory(&own_key)),
            used: Instant::now(),
            activity: Arc::new(()),
            _count: LiveCount::new(self.gate.metrics.live.clone()),
        }
    }

    /// Evicts idle actors, in bounded time. Busy ones move to the back and are checked again only
    /// after all others.
    fn make_room(&self, actors: &mut LruCache<K, Live<A>>) {
        for _ in 0..EVICTION_SCAN {
            if actors.len() < self.options.max_live {
                return;
            }
            let Some((key, actor)) = actors.peek_lru() else { return };
            let (key, idle) = (key.clone(), actor.commands() == 0);
            if idle {
                self.passivate(actors, &key);
            } else {
                actors.promote(&key);
            }
        }
    }

    async fn passivate_idle(&self) {
        let slices = self.lock().len().div_ceil(PASSIVATION_SLICE);
        for _ in 0..slices {
            if !self.passivate_slice() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Returns whether more actors may be due.
    fn passivate_slice(&self) -> bool {
        let mut actors = self.lock();
        for _ in 0..PASSIVATION_SLICE.min(actors.len()) {
            let Some((key, actor)) = actors.peek_lru() else { return false };
            if actor.used.elapsed() < self.options.idle {
                return false;
            }
            let (key, idle) = (key.clone(), actor.commands() == 0);
            if idle {
                self.passivate(&mut actors, &key);
            } else if let Some(actor) = actors.get_mut(&key) {
                // A busy actor is in use. `get_mut` moved it behind the others.
                actor.used = Instant::now();
            }
        }
        true
    }

    /// When its last address is dropped, actix ends the actor.
    fn passivate(&self, actors: &mut LruCache<K, Live<A>>, key: &K) {
        actors.pop(key);
        self.gate.metrics.passivations.inc();
    }
}
