//! Group commit: an actor does the I/O of all commands that wait together.
//!
//! While one batch is with the database, the next one collects. There is no timer: an idle actor starts a command at
//! once, a busy one starts all that came in the meantime when the batch before is done.

use std::collections::VecDeque;

use actix::fut::{self, wrap_future};
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler};
use futures::future::LocalBoxFuture;
use tracing::{Instrument, Span, error};

use super::command::Command;
use super::envelope::{Envelope, Responder};
use crate::telemetry::{self, TraceContext};

/// The limits of a [`Lane`].
#[derive(Clone, Copy, Debug)]
pub struct LaneLimits {
    /// How many commands are done together at the most.
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
    limits: LaneLimits,
}

impl<C: Command> Lane<C> {
    /// An empty lane.
    pub fn new(limits: LaneLimits) -> Self {
        Self { waiting: VecDeque::new(), under_way: 0, limits }
    }

    /// Takes the next batch; commands past their deadline are dropped on the way and do not count.
    fn next_batch(&mut self) -> (Vec<C>, Vec<Responder<C>>) {
        let size = self.waiting.len().min(self.limits.max_batch);
        let mut batch = (Vec::with_capacity(size), Vec::with_capacity(size));
        while batch.0.len() < self.limits.max_batch {
            let Some(envelope) = self.waiting.pop_front() else { break };
            if let Some((command, responder)) = envelope.begin() {
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

    /// Does a batch, which is never empty, and answers each command at its own index. A panic, or an answer too few,
    /// fails the commands without an answer as unavailable; a panic ends the actor, too.
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
    if lane.waiting.is_empty() || lane.under_way >= lane.limits.concurrency {
        return;
    }
    lane.under_way += 1;
    // The batch is taken when this is first polled, which is after the mailbox has been emptied into the lane.
    let batch = fut::ready(()).then(|(), actor: &mut A, _: &mut Context<A>| {
        let (commands, responders) = actor.lane().next_batch();
        let work = (!commands.is_empty()).then(|| {
            responders[0].observe_batch(commands.len());
            let span = batch_span::<C>(&responders);
            actor.commit(commands).instrument(span)
        });
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
