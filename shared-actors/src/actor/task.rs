//! Background work: it starts with the process and is restarted if it panics.

use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ArbiterHandle, AsyncContext, Context};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use tokio::time::sleep;

use super::handle::Handle;
use super::options::ActorOptions;

/// Work that is done repeatedly, such as a sweep.
pub trait Periodic: 'static {
    /// Waits until the first pass may start.
    fn ready(&mut self) -> impl Future<Output = ()> {
        async {}
    }

    /// Does a bounded part of the pending work.
    fn pass(&mut self) -> impl Future<Output = Pass>;
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The next pass starts after the period.
    Done,
    /// There is more to do: the next pass starts at once.
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
    /// Runs `work` on `arbiter`. If it panics, it is restarted after the backoff of `options`. If
    /// it ends, it is not restarted.
    pub fn start<F: Future<Output = ()> + 'static>(
        options: ActorOptions,
        arbiter: &ArbiterHandle,
        work: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        let work: Arc<Work> = Arc::new(move || work().boxed_local());
        Self(Handle::supervise(options.capacity(1), arbiter, move |_| TaskActor(Arc::clone(&work))))
    }

    /// Runs passes on `arbiter`, with a pause of `period` between two of them. After a panic,
    /// `build` creates the work again.
    ///
    /// # Panics
    /// Panics if `period` is zero.
    pub fn periodic<P: Periodic>(
        options: ActorOptions,
        arbiter: &ArbiterHandle,
        period: Duration,
        build: impl Fn() -> P + Send + Sync + 'static,
    ) -> Self {
        assert!(!period.is_zero(), "a task must rest");
        Self::start(options, arbiter, move || {
            let mut work = build();
            async move {
                work.ready().await;
                loop {
                    while work.pass().await == Pass::More {}
                    sleep(period).await;
                }
            }
        })
    }

    /// Stops the work, even in the middle of a pass.
    pub async fn stop(&self) {
        self.0.drain().await;
    }
}
