//! Background work: it starts with the process and is restarted if it panics.

use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ArbiterHandle, AsyncContext, Context};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use tokio::sync::watch;
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

/// Tells a task that it should end soon. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StopSignal(watch::Receiver<bool>);

impl StopSignal {
    /// Whether the task should end.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the task should end.
    pub async fn wait(&mut self) {
        // An error means that the handle is gone, which ends the task as well.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// A supervised task. Cheap to clone.
#[derive(Clone)]
pub struct TaskHandle {
    actor: Handle<TaskActor>,
    stop: watch::Sender<bool>,
    /// True once the work has returned.
    ended: watch::Receiver<bool>,
}

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
        Self::start_with_signal(options, arbiter, move |_| work())
    }

    /// Like [`Self::start`], for work that ends soon after the signal is set. See [`Self::finish`].
    pub fn start_with_signal<F: Future<Output = ()> + 'static>(
        options: ActorOptions,
        arbiter: &ArbiterHandle,
        work: impl Fn(StopSignal) -> F + Send + Sync + 'static,
    ) -> Self {
        let (stop, stopping) = watch::channel(false);
        let (ends, ended) = watch::channel(false);
        let work: Arc<Work> = Arc::new(move || {
            let (work, ends) = (work(StopSignal(stopping.clone())), ends.clone());
            let all = async move {
                work.await;
                ends.send_replace(true);
            };
            all.boxed_local()
        });
        let factory = move |_: &mut Context<TaskActor>| TaskActor(Arc::clone(&work));
        Self { actor: Handle::supervise(options.capacity(1), arbiter, factory), stop, ended }
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
        Self::start_with_signal(options, arbiter, move |mut stop| {
            let mut work = build();
            async move {
                tokio::select! {
                    () = work.ready() => {}
                    () = stop.wait() => return,
                }
                while !stop.is_set() {
                    if work.pass().await == Pass::Done {
                        tokio::select! {
                            () = sleep(period) => {}
                            () = stop.wait() => {}
                        }
                    }
                }
            }
        })
    }

    /// Stops the work, even in the middle of a pass.
    pub async fn stop(&self) {
        self.actor.drain().await;
    }

    /// Signals the work to stop, without waiting.
    pub fn signal_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Signals the work to stop, and waits until it has ended. A pass in progress completes first.
    /// There is no timeout.
    pub async fn finish(&self) {
        self.signal_stop();
        // An error means that the work is gone, so there is nothing to wait for.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
        self.actor.drain().await;
    }
}
