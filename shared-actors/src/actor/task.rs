//! Work that nobody asks for: it begins with the process, and is begun again when it panics.

use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ArbiterHandle, AsyncContext, Context};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use tokio::time::{MissedTickBehavior, interval};

use super::handle::Handle;
use super::options::ActorOptions;

/// Work that is done again and again, such as a sweep.
pub trait Periodic: 'static {
    /// Waits until the first pass may begin.
    fn ready(&mut self) -> impl Future<Output = ()> {
        async {}
    }

    /// Does a bounded part of what there is to do.
    fn pass(&mut self) -> impl Future<Output = Pass>;
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The next one begins after the period.
    Done,
    /// There is more to do: the next one begins at once.
    More,
}

/// A supervised task. Cheap to clone.
#[derive(Clone)]
pub struct TaskHandle(Handle<TaskActor>);

type Work = dyn Fn() -> LocalBoxFuture<'static, ()> + Send + Sync;

struct TaskActor(Arc<Work>);

impl Actor for TaskActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.spawn(wrap_future((self.0)()));
    }
}

impl TaskHandle {
    /// Runs `work` on `arbiter`. It is begun again after the backoff of `options` when it panics, and not when it ends.
    pub fn start<F: Future<Output = ()> + 'static>(
        options: ActorOptions,
        arbiter: &ArbiterHandle,
        work: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        let work: Arc<Work> = Arc::new(move || work().boxed_local());
        Self(Handle::supervise(options.capacity(1), arbiter, move |_| TaskActor(Arc::clone(&work))))
    }

    /// Passes once per `period` on `arbiter`; a pass that takes longer delays the next one. `build` makes the work
    /// anew after a panic.
    pub fn periodic<P: Periodic>(
        options: ActorOptions,
        arbiter: &ArbiterHandle,
        period: Duration,
        build: impl Fn() -> P + Send + Sync + 'static,
    ) -> Self {
        Self::start(options, arbiter, move || {
            let mut work = build();
            async move {
                work.ready().await;
                let mut ticks = interval(period);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    while work.pass().await == Pass::More {}
                }
            }
        })
    }

    /// Ends the work, wherever it is.
    pub async fn stop(&self) {
        self.0.drain().await;
    }
}
