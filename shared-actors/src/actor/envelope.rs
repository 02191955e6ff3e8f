//! A command in transit: the message that actix carries, with the context that the command runs in.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::command::{AskError, Command};
use super::metrics::CommandMetrics;
use crate::deadline;
use crate::trace::{self, PastSpan};

/// A command in an actor's mailbox, with its context.
///
/// Dropping an envelope unopened answers [`super::AskError::Unavailable`].
pub struct Envelope<C: Command> {
    command: C,
    responder: Responder<C>,
}

impl<C: Command> actix::Message for Envelope<C> {
    type Result = ();
}

impl<C: Command> Envelope<C> {
    pub(super) fn new(command: C, responder: Responder<C>) -> Self {
        Self { command, responder }
    }

    /// Whether the command's deadline has passed at `now`.
    pub(super) fn has_expired(&self, now: Instant) -> bool {
        now >= self.responder.deadline
    }

    pub(super) fn command(&self) -> &C {
        &self.command
    }

    /// Opens the envelope: the command starts now. Returns `None` if the deadline has passed.
    /// Nobody waits for the answer then, and the command must not run.
    pub fn begin(self) -> Option<(C, Responder<C>)> {
        let Self { command, mut responder } = self;
        responder.begin().then_some((command, responder))
    }

    /// Runs the command in its own task on this arbiter, concurrently with other commands of the
    /// same actor. The result of `work` is the answer. A panic in `work` fails only this command.
    pub fn run<F>(self, work: impl FnOnce(C) -> F)
    where
        F: Future<Output = Result<C::Output, C::Error>> + 'static,
    {
        let Some((command, responder)) = self.begin() else { return };
        let work = responder.scope(work(command));
        actix::spawn(async move { responder.answer(work.await) });
    }
}

/// Work of a keyed actor. The actor is not passivated while an `Activity` exists.
#[derive(Clone, Debug)]
pub struct Activity(#[expect(dead_code, reason = "held, never looked at")] Option<Arc<()>>);

enum Stage {
    Queued { since: Instant },
    Running { since: Instant },
    Ended,
}

/// The obligation to answer one command, with the context that the command runs in.
///
/// Dropping a responder without an answer answers [`super::AskError::Unavailable`].
pub struct Responder<C: Command> {
    reply: Option<oneshot::Sender<Result<C::Output, C::Error>>>,
    deadline: Instant,
    /// The span of the command, a child of the caller's span. If command spans are disabled, it is
    /// the caller's span itself.
    span: Span,
    stage: Stage,
    metrics: Arc<CommandMetrics>,
    _permit: OwnedSemaphorePermit,
    /// Keeps the actor of a key in memory while it has work.
    activity: Option<Arc<()>>,
}

impl<C: Command> Responder<C> {
    pub(super) fn new(
        reply: Option<oneshot::Sender<Result<C::Output, C::Error>>>,
        deadline: Instant,
        metrics: Arc<CommandMetrics>,
        permit: OwnedSemaphorePermit,
        activity: Option<Arc<()>>,
    ) -> Self {
        metrics.depth.inc();
        let stage = Stage::Queued { since: Instant::now() };
        let span = metrics.open_span();
        Self { reply, deadline, span, stage, metrics, _permit: permit, activity }
    }

    fn begin(&mut self) -> bool {
        let Stage::Queued { since } = self.stage else { return true };
        let now = Instant::now();
        self.metrics.depth.dec();
        self.metrics.wait.observe((now - since).as_secs_f64());
        self.show_wait(now - since);
        if now >= self.deadline {
            self.stage = Stage::Ended;
            self.metrics.expired.inc();
            self.fail("expired");
            // The caller may not have noticed yet: a busy thread runs its timers late.
            if let Some(reply) = self.reply.take() {
                let _ = reply.send(Err(AskError::DeadlineExceeded.into()));
            }
            return false;
        }
        self.stage = Stage::Running { since: now };
        self.metrics.in_flight.inc();
        true
    }

    /// Records the wait in the mailbox as a span of its own.
    fn show_wait(&self, waited: Duration) {
        if trace::is_exporting() {
            let start = SystemTime::now().checked_sub(waited).unwrap_or(SystemTime::UNIX_EPOCH);
            PastSpan::internal("mailbox wait", start).record(trace::of(&self.span));
        }
    }

    /// Marks the command as failed because it ends without an answer. An error that the actor
    /// answers is not a failure of the operation.
    fn fail(&self, outcome: &str) {
        self.span.record("actor.outcome", outcome);
        trace::failed(&self.span, outcome);
    }

    /// The time by which the caller wants the answer.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Keeps the actor of this command's key in memory, as the command itself does. Use it for work
    /// that outlives the answer.
    pub fn activity(&self) -> Activity {
        Activity(self.activity.clone())
    }

    pub(super) fn observe_batch(&self, commands: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        self.metrics.batch_size.observe(commands as f64);
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    pub(super) fn actor(&self) -> &'static str {
        self.metrics.actor
    }

    /// Runs `future` under the deadline and in the span of the command.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F, C> {
        deadline::scope(self.deadline, future).instrument(self.span.clone())
    }

    /// Answers the command and frees its place in the actor's queue. Returns whether the caller was
    /// still waiting.
    pub fn answer(mut self, result: Result<C::Output, C::Error>) -> bool {
        if let Stage::Running { since } = self.stage {
            self.metrics.in_flight.dec();
            self.metrics.duration.observe(since.elapsed().as_secs_f64());
        }
        self.stage = Stage::Ended;
        if result.is_ok() {
            self.metrics.ok.inc();
        } else {
            self.metrics.error.inc();
            self.span.record("actor.outcome", "error");
        }
        self.reply.take().is_some_and(|reply| reply.send(result).is_ok())
    }
}

impl<C: Command> Drop for Responder<C> {
    fn drop(&mut self) {
        match self.stage {
            Stage::Queued { .. } => self.metrics.depth.dec(),
            Stage::Running { .. } => self.metrics.in_flight.dec(),
            Stage::Ended => return,
        }
        self.metrics.unavailable.inc();
        self.fail("unavailable");
    }
}
