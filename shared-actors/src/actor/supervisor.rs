//! Keeps one actor alive: detects its end, waits, rebuilds it and publishes its new address. Ends
//! the process if restarts do not help.

use std::sync::{Arc, PoisonError, Weak};

use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, ArbiterHandle, AsyncContext, Context};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};
use tracing::error;

use super::handle::Shared;
use crate::exit;

/// After this many failures in a row, restarts within the process do not help.
const MAX_FAILURES: u32 = 20;

/// The supervisor's side of a running actor.
struct Life {
    born: Instant,
    /// Sending on it, or dropping it, asks the actor to stop.
    stop: oneshot::Sender<()>,
    /// Completes when the actor's context is gone, after a stop or a panic.
    ended: oneshot::Receiver<()>,
}

/// Starts the first actor and the task that supervises it. The actor's address is published before
/// this returns. The task ends when `stop` changes or its sender is dropped.
pub(super) fn start<A, F>(
    shared: &Arc<Shared<A>>,
    mut stop: watch::Receiver<()>,
    arbiter: &ArbiterHandle,
    factory: F,
) where
    A: Actor<Context = Context<A>>,
    F: Fn(&mut Context<A>) -> A + Send + Sync + 'static,
{
    let factory = Arc::new(factory);
    let life = launch(shared, arbiter, &factory);
    let weak = Arc::downgrade(shared);
    let own_arbiter = arbiter.clone();
    let supervision = async move {
        tokio::select! {
            () = keep_alive(weak.clone(), own_arbiter, factory, life) => {}
            _ = stop.changed() => {}
        }
        // Dropping the `Life` of `keep_alive` has stopped the actor.
        if let Some(shared) = weak.upgrade() {
            shared.address.write().unwrap_or_else(PoisonError::into_inner).take();
        }
    };
    if !arbiter.spawn(supervision) {
        error!(
            actor = shared.options.name,
            "the actor's arbiter has ended: the actor is no longer supervised"
        );
    }
}

async fn keep_alive<A, F>(
    shared: Weak<Shared<A>>,
    arbiter: ArbiterHandle,
    factory: Arc<F>,
    mut life: Life,
) where
    A: Actor<Context = Context<A>>,
    F: Fn(&mut Context<A>) -> A + Send + Sync + 'static,
{
    let mut failures: u32 = 0;
    loop {
        let _ = (&mut life.ended).await;
        drop(life.stop);
        let Some((name, backoff)) =
            shared.upgrade().map(|shared| (shared.options.name, shared.options.backoff))
        else {
            return;
        };
        failures = if life.born.elapsed() > backoff.max { 1 } else { failures + 1 };
        if failures >= MAX_FAILURES {
            exit::end(&format!("the actor {name} failed {failures} times in a row"));
        }
        let wait = backoff.wait(failures);
        error!(actor = name, failures, ?wait, "the actor panicked and will be rebuilt");
        sleep(wait).await;
        let Some(shared) = shared.upgrade() else { return };
        shared.gate.metrics.restarts.inc();
        life = launch(&shared, &arbiter, &factory);
    }
}

fn launch<A, F>(shared: &Arc<Shared<A>>, arbiter: &ArbiterHandle, factory: &Arc<F>) -> Life
where
    A: Actor<Context = Context<A>>,
    F: Fn(&mut Context<A>) -> A + Send + Sync + 'static,
{
    let (stop, stopped) = oneshot::channel::<()>();
    let (alive, ended) = oneshot::channel::<()>();
    let live = LiveCount::new(shared.gate.metrics.live.clone());
    let factory = Arc::clone(factory);
    let address = A::start_in_arbiter(arbiter, move |ctx| {
        // The actor's context owns `alive` and `live`. They are dropped with it, however it ends.
        let until_stopped = async move {
            let _ = stopped.await;
            (alive, live)
        };
        ctx.spawn(wrap_future(until_stopped).map(|_, _: &mut A, ctx: &mut Context<A>| ctx.stop()));
        factory(ctx)
    });
    *shared.address.write().unwrap_or_else(PoisonError::into_inner) = Some(address);
    Life { born: Instant::now(), stop, ended }
}

/// Counts one running actor until this is dropped.
pub(super) struct LiveCount(prometheus::IntGauge);

impl LiveCount {
    pub fn new(live: prometheus::IntGauge) -> Self {
        live.inc();
        Self(live)
    }
}

impl Drop for LiveCount {
    fn drop(&mut self) {
        self.0.dec();
    }
}
