//! Group commit: an actor does the I/O of all commands that wait together.
//!
//! While one batch is with the database, the next one collects. No timer starts a batch: an idle actor starts a command
//! at once, a busy one starts all that came in the meantime when the batch before is done.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use actix::fut::{self, wrap_future};
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler};
use futures::future::LocalBoxFuture;
use tokio::time::Instant;
use tracing::{Instrument, Span, error};

use super::command::Command;
use super::envelope::{Envelope, Responder};
use crate::deadline;
use crate::telemetry::{self, TraceContext};

/// How often the commands that wait behind a slow batch are searched for those past their deadline.
const EXPIRY_INTERVAL: Duration = Duration::from_millis(100);

/// The limits of a [`Lane`].
#[derive(Clone, Copy, Debug)]
pub struct LaneLimits {
    /// The most commands per batch.
    pub max_batch: usize,
    /// How many batches are under way at once.
    pub concurrency: usize,
}

impl Default for LaneLimits {
    /// 256 commands a batch, one batch at a time.
    fn default() -> Self {
        Self { max_batch: 256, concurrency: 1 }
    }
}

/// The commands of one type that wait for their batch.
pub struct Lane<C: Command> {
    waiting: VecDeque<Envelope<C>>,
    under_way: usize,
    /// Whether a timer is set that will look for expired commands.
    expiring: bool,
    limits: LaneLimits,
    max_weight: usize,
}

impl<C: Command> Lane<C> {
    /// An empty lane.
    pub fn new(limits: LaneLimits) -> Self {
        Self { waiting: VecDeque::new(), under_way: 0, expiring: false, limits, max_weight: usize::MAX }
    }

    /// Answers the waiting commands whose deadline has passed, which frees their places.
    fn drop_expired(&mut self) {
        let now = Instant::now();
        let (expired, waiting): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|envelope| envelope.has_expired(now));
        self.waiting = waiting;
        for envelope in expired {
            let begun = envelope.begin();
            debug_assert!(begun.is_none(), "an expired command is not begun");
        }
    }

    /// The same lane, with batches whose commands weigh at most `max_weight` together (see [`GroupCommit::weight`]).
    /// A heavier command is a batch of its own.
    #[must_use]
    pub fn max_weight(mut self, max_weight: usize) -> Self {
        self.max_weight = max_weight;
        self
    }

    /// Takes the next batch; commands past their deadline are dropped on the way and do not count.
    fn next_batch(&mut self, weight: impl Fn(&C) -> usize) -> (Vec<C>, Vec<Responder<C>>) {
        let size = self.waiting.len().min(self.limits.max_batch);
        let mut batch = (Vec::with_capacity(size), Vec::with_capacity(size));
        let mut left = self.max_weight;
        while batch.0.len() < self.limits.max_batch {
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

impl<C: Command> Default for Lane<C> {
    fn default() -> Self {
        Self::new(LaneLimits::default())
    }
}

/// An actor that does commands of the type `C` in batches.
///
/// Its handler hands each envelope on: `fn handle(&mut self, envelope, ctx) { self.accept(envelope, ctx) }`.
pub trait GroupCommit<C: Command>: Actor<Context = Context<Self>> + Handler<Envelope<C>> {
    /// The lane in which commands of this type wait.
    fn lane(&mut self) -> &mut Lane<C>;

    /// How much of [`Lane::max_weight`] a command takes: 1, unless commands differ in how much work they are.
    fn weight(_command: &C) -> usize {
        1
    }

    /// Does a batch, which is never empty, and answers each command at its own index. A panic, or an answer too few,
    /// fails the commands without an answer as unavailable, and nothing but them. The deadline of what the batch asks in
    /// turn is the latest one of its commands.
    fn commit(&mut self, batch: Vec<C>) -> LocalBoxFuture<'static, Vec<Result<C::Output, C::Error>>>;

    /// Queues the command, and starts a batch when one may be started.
    fn accept(&mut self, envelope: Envelope<C>, ctx: &mut Context<Self>) {
        self.lane().waiting.push_back(envelope);
        start_batch(self, ctx);
    }
}

fn start_batch<A, C>(actor: &mut A, ctx: &mut Context<A>)
where
    A: GroupCommit<C>,
    C: Command,
{
    let lane = actor.lane();
    if lane.waiting.is_empty() {
        return;
    }
    if lane.under_way >= lane.limits.concurrency {
        return expire_later(actor, ctx);
    }
    lane.under_way += 1;
    // The batch is taken when this is first polled, which is after the mailbox has been emptied into the lane.
    let batch = fut::ready(()).then(|(), actor: &mut A, _: &mut Context<A>| {
        let (commands, responders) = actor.lane().next_batch(A::weight);
        let work = (!commands.is_empty()).then(|| work(actor, commands, &responders));
        wrap_future(async move {
            let answers = match work {
                Some(work) => work.await,
                None => Vec::new(),
            };
            if answers.len() != responders.len() {
                error!(
                    message = C::NAME,
                    asked = responders.len(),
                    answered = answers.len(),
                    "a batch lacks answers"
                );
            }
            for (responder, answer) in responders.into_iter().zip(answers) {
                responder.answer(answer);
            }
        })
    });
    ctx.spawn(batch.map(|(), actor: &mut A, ctx: &mut Context<A>| {
        actor.lane().under_way -= 1;
        start_batch(actor, ctx);
    }));
}

/// The work of a batch, in its span and within the latest deadline of its commands. It has no answers when it panics.
fn work<A, C>(
    actor: &mut A,
    commands: Vec<C>,
    responders: &[Responder<C>],
) -> impl Future<Output = Vec<Result<C::Output, C::Error>>> + use<A, C>
where
    A: GroupCommit<C>,
    C: Command,
{
    responders[0].observe_batch(commands.len());
    let latest = responders.iter().map(Responder::deadline).max().unwrap_or_else(Instant::now);
    let begun = catch_unwind(AssertUnwindSafe(|| actor.commit(commands)));
    async move {
        let Ok(batch) = begun else { return Vec::new() };
        let guarded = AssertUnwindSafe(deadline::scope(latest, batch));
        futures::FutureExt::catch_unwind(guarded).await.unwrap_or_default()
    }
    .instrument(batch_span::<C>(responders))
}

/// Sets a timer, unless one is set, that frees the places of commands whose callers have gone. A batch that takes long
/// would keep them until it ends.
fn expire_later<A, C>(actor: &mut A, ctx: &mut Context<A>)
where
    A: GroupCommit<C>,
    C: Command,
{
    if std::mem::replace(&mut actor.lane().expiring, true) {
        return;
    }
    ctx.run_later(EXPIRY_INTERVAL, |actor, ctx| {
        let lane = actor.lane();
        lane.expiring = false;
        lane.drop_expired();
        if !lane.waiting.is_empty() {
            expire_later(actor, ctx);
        }
    });
}

/// The span of a batch: within the trace of one of its commands, linked with the others.
fn batch_span<C: Command>(responders: &[Responder<C>]) -> Span {
    let first = responders[0].span();
    if !telemetry::is_exporting() {
        return first.clone();
    }
    let asking: Vec<TraceContext> =
        responders.iter().filter_map(|responder| telemetry::of(responder.span())).collect();
    if asking.is_empty() {
        return Span::none();
    }
    let actor = responders[0].actor();
    let span = tracing::debug_span!(
        target: telemetry::DETAIL,
        parent: None,
        "batch",
        otel.name = format!("{actor} {} batch", C::NAME),
        actor.name = actor,
        actor.command = C::NAME,
        actor.batch.size = i64::try_from(responders.len()).unwrap_or(i64::MAX),
    );
    telemetry::join(&span, &asking);
    if let (Some(own), true) = (telemetry::of(&span), responders.len() > 1) {
        for responder in responders {
            telemetry::link(responder.span(), own);
        }
    }
    span
}
