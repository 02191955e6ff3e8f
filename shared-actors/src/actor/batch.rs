//! Group commit: an actor does the I/O of all waiting commands together.
//!
//! While one batch is in the database, the next one collects. No timer starts a batch. An idle
//! actor starts a command at once. A busy actor starts everything that arrived in the meantime when
//! the current batch ends.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::{self, wrap_future};
use actix::{Actor, ActorFutureExt, ArbiterHandle, AsyncContext, Context, Handler};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::command::Command;
use super::envelope::{Envelope, Responder};
use super::handle::Handle;
use super::options::ActorOptions;
use crate::deadline;
use crate::fits;
use crate::trace::{self, TraceContext};

/// How often the commands that wait behind a slow batch are checked for expired deadlines.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(100);

/// The batch limits of one command type.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// The maximum number of commands per batch.
    pub commands: usize,
    /// The maximum total weight of a batch, see [`Commit::weight`]. A heavier command gets a batch
    /// of its own.
    pub weight: usize,
    /// How many batches run at once.
    pub concurrency: usize,
}

impl BatchLimits {
    /// One command per batch, and one batch at a time.
    pub const ONE_BY_ONE: Self = Self { commands: 1, weight: usize::MAX, concurrency: 1 };
}

impl Default for BatchLimits {
    /// 256 commands per batch, no weight limit, and one batch at a time.
    fn default() -> Self {
        Self { commands: 256, weight: usize::MAX, concurrency: 1 }
    }
}

/// The state of a [`BatchActor`] that executes commands `C` in batches.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use shared_actors::actor::{ActorOptions, Arbiters, AskError, BatchActor, Command, Commit};
///
/// struct AddStock(u32);
///
/// impl Command for AddStock {
///     type Output = u32;
///     type Error = AskError;
///     const NAME: &'static str = "add_stock";
/// }
///
/// struct Stock(AtomicU32);
///
/// impl Commit<AddStock> for Stock {
///     async fn commit(&self, batch: Vec<AddStock>) -> Vec<Result<u32, AskError>> {
///         let add = |count| self.0.fetch_add(count, Ordering::Relaxed) + count;
///         batch.into_iter().map(|AddStock(count)| Ok(add(count))).collect()
///     }
/// }
///
/// actix::System::new().block_on(async {
///     let (arbiters, stock) = (Arbiters::new(0), Arc::new(Stock(AtomicU32::new(40))));
///     let stock = BatchActor::start(ActorOptions::new("stock"), arbiters.pick(0), stock);
///     assert_eq!(stock.ask(AddStock(2)).await, Ok(42));
///     stock.drain().await;
/// });
/// ```
pub trait Commit<C: Command>: Send + Sync + 'static {
    /// The batch limits of this command type.
    fn limits(&self) -> BatchLimits {
        BatchLimits::default()
    }

    /// How much of [`BatchLimits::weight`] a command takes. The default is 1; override it if
    /// commands differ in the work that they cause.
    fn weight(_command: &C) -> usize {
        1
    }

    /// Executes a batch, which is never empty. Returns one answer per command, at the same index.
    ///
    /// If it panics or returns a different number of answers, all commands of this batch fail as
    /// unavailable. Other batches are not affected. The work of a batch runs under the latest
    /// deadline of its commands.
    fn commit(&self, batch: Vec<C>) -> impl Future<Output = Vec<Result<C::Output, C::Error>>>;
}

/// Executes the commands of a batch one after the other.
pub async fn one_by_one<C, R>(batch: Vec<C>, execute: impl AsyncFn(C) -> R) -> Vec<R> {
    let mut answers = Vec::with_capacity(batch.len());
    for command in batch {
        answers.push(execute(command).await);
    }
    answers
}

/// An actor that collects commands and executes them in batches, using the [`Commit`]
/// implementations of `S`. Commands of the same type share batches. Commands of different types do
/// not wait for each other.
pub struct BatchActor<S> {
    state: Arc<S>,
    /// One [`Lane`] per command type.
    lanes: Vec<Box<dyn Any>>,
}

impl<S: Send + Sync + 'static> BatchActor<S> {
    /// Starts a supervised actor on `arbiter`. A rebuilt actor keeps `state`.
    pub fn start(options: ActorOptions, arbiter: &ArbiterHandle, state: Arc<S>) -> Handle<Self> {
        Handle::supervise(options, arbiter, move |_| Self {
            state: Arc::clone(&state),
            lanes: Vec::new(),
        })
    }

    fn lane<C: Command>(&mut self) -> &mut Lane<C>
    where
        S: Commit<C>,
    {
        let known = self.lanes.iter().position(|lane| lane.is::<Lane<C>>());
        let index = known.unwrap_or_else(|| {
            let limits = self.state.limits();
            assert!(
                limits.commands > 0 && limits.weight > 0 && limits.concurrency > 0,
                "{limits:?}"
            );
            self.lanes.push(Box::new(Lane::<C>::new(limits)));
            self.lanes.len() - 1
        });
        match self.lanes[index].downcast_mut() {
            Some(lane) => lane,
            None => unreachable!("the lane at this index is of this type"),
        }
    }

    /// Starts a batch from the lane. If all batches are running already, sets a timer that drops
    /// expired commands.
    fn start_batch<C: Command>(&mut self, ctx: &mut Context<Self>)
    where
        S: Commit<C>,
    {
        let lane = self.lane::<C>();
        if lane.running >= lane.limits.concurrency {
            if !std::mem::replace(&mut lane.expiring, true) {
                Self::expire_later::<C>(ctx);
            }
            return;
        }
        lane.running += 1;
        // The batch is taken at the first poll, after the mailbox has been emptied into the lane.
        let batch = fut::ready(()).then(|(), actor: &mut Self, _: &mut Context<Self>| {
            let (commands, responders) = actor.lane::<C>().next_batch(S::weight);
            wrap_future(execute(Arc::clone(&actor.state), commands, responders))
        });
        ctx.spawn(batch.map(|(), actor: &mut Self, ctx: &mut Context<Self>| {
            let lane = actor.lane::<C>();
            lane.running -= 1;
            if !lane.waiting.is_empty() {
                actor.start_batch::<C>(ctx);
            }
        }));
    }

    /// Sets a timer that frees the places of expired commands. Without it, a slow batch would keep
    /// their places occupied until it ends.
    fn expire_later<C: Command>(ctx: &mut Context<Self>)
    where
        S: Commit<C>,
    {
        ctx.run_later(EXPIRY_INTERVAL, |actor, ctx| {
            let lane = actor.lane::<C>();
            lane.drop_expired();
            lane.expiring = !lane.waiting.is_empty();
            if lane.expiring {
                Self::expire_later::<C>(ctx);
            }
        });
    }
}

impl<S: 'static> Actor for BatchActor<S> {
    type Context = Context<Self>;
}

impl<S: Commit<C>, C: Command> Handler<Envelope<C>> for BatchActor<S> {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<C>, ctx: &mut Context<Self>) {
        self.lane().waiting.push_back(envelope);
        self.start_batch::<C>(ctx);
    }
}

/// The commands of one type that wait for a batch.
struct Lane<C: Command> {
    waiting: VecDeque<Envelope<C>>,
    /// How many batches are running.
    running: usize,
    /// Whether a timer is set that drops expired commands.
    expiring: bool,
    limits: BatchLimits,
}

impl<C: Command> Lane<C> {
    fn new(limits: BatchLimits) -> Self {
        Self { waiting: VecDeque::new(), running: 0, expiring: false, limits }
    }

    /// Answers the waiting commands whose deadline has passed, which frees their places.
    fn drop_expired(&mut self) {
        let now = Instant::now();
        let (expired, waiting): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|envelope| envelope.has_expired(now));
        self.waiting = waiting;
        for envelope in expired {
            let begun = envelope.begin();
            debug_assert!(begun.is_none(), "an expired command is not begun");
        }
    }

    /// Takes the next batch. Expired commands are dropped and do not count toward the limits.
    fn next_batch(&mut self, weight: impl Fn(&C) -> usize) -> (Vec<C>, Vec<Responder<C>>) {
        let size = self.waiting.len().min(self.limits.commands);
        let mut batch = (Vec::with_capacity(size), Vec::with_capacity(size));
        let mut left = self.limits.weight;
        while batch.0.len() < self.limits.commands {
            let fits = |envelope: &Envelope<C>| weight(envelope.command()) <= left;
            if !batch.0.is_empty() && !self.waiting.front().is_some_and(fits) {
                break;
            }
            let Some(envelope) = self.waiting.pop_front() else { break };
            if let Some((command, responder)) = envelope.begin() {
                left = left.saturating_sub(weight(&command));
                batch.0.push(command);
                batch.1.push(responder);
            }
        }
        batch
    }
}

/// Executes a batch in its span, under the latest deadline of its commands, and answers them. If
/// the batch panics, its commands are dropped, which answers them as unavailable.
async fn execute<S: Commit<C>, C: Command>(
    state: Arc<S>,
    commands: Vec<C>,
    responders: Vec<Responder<C>>,
) {
    let Some(first) = responders.first() else { return };
    first.observe_batch(commands.len());
    let latest = responders.iter().map(Responder::deadline).max().unwrap_or_else(Instant::now);
    let span = batch_span::<C>(&responders);
    let work = async {
        let count = commands.len();
        let answers = deadline::scope(latest, state.commit(commands)).await;
        assert_eq!(answers.len(), count, "each command of a batch of {} has an answer", C::NAME);
        answers
    };
    let guarded = futures::FutureExt::catch_unwind(AssertUnwindSafe(work));
    let Ok(answers) = guarded.instrument(span).await else { return };
    for (responder, answer) in responders.into_iter().zip(answers) {
        responder.answer(answer);
    }
}

/// The span of a batch. It continues the trace of one of its commands and links to the others.
fn batch_span<C: Command>(responders: &[Responder<C>]) -> Span {
    let first = responders[0].span();
    if !trace::is_exporting() {
        return first.clone();
    }
    let asking: Vec<TraceContext> =
        responders.iter().filter_map(|responder| trace::of(responder.span())).collect();
    if asking.is_empty() {
        return Span::none();
    }
    let actor = responders[0].actor();
    let span = tracing::debug_span!(
        target: trace::DETAIL,
        parent: None,
        "batch",
        otel.name = format!("{actor} {} batch", C::NAME),
        actor.name = actor,
        actor.command = C::NAME,
        actor.batch.size = fits::<usize, i64>(responders.len()),
    );
    trace::join(&span, &asking);
    if let (Some(own), true) = (trace::of(&span), responders.len() > 1) {
        for responder in responders {
            trace::link(responder.span(), own);
        }
    }
    span
}
