//! A command on its way: the message that actix carries, with the context that the command runs in.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::command::{AskError, Command};
use super::metrics::CommandMetrics;
use crate::telemetry::PastSpan;
use crate::{deadline, telemetry};

/// A command with its context, as it waits in an actor's mailbox.
///
/// An envelope that is dropped unopened answers [`super::AskError::Unavailable`].
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

    /// Opens the envelope: the command starts now. `None` when its deadline has passed, in which case nobody waits
    /// for it any more and it must not be run.
    pub fn begin(self) -> Option<(C, Responder<C>)> {
        let Self { command, mut responder } = self;
        responder.begin().then_some((command, responder))
    }

    /// Runs the command in a task of its own on this arbiter, beside others of the same actor, and answers with
    /// what `work` returns. A panic in `work` fails this command alone.
    pub fn run<F>(self, work: impl FnOnce(C) -> F)
    where
        F: Future<Output = Result<C::Output, C::Error>> + 'static,
    {
        let Some((command, responder)) = self.begin() else { return };
        let work = responder.scope(work(command));
        actix::spawn(async move { responder.answer(work.await) });
    }
}

/// Work of a keyed actor. While one lives, the actor is not passivated.
#[derive(Clone, Debug)]
pub struct Activity(#[expect(dead_code, reason = "held, never looked at")] Option<Arc<()>>);

enum Stage {
    Queued { since: Instant },
    Running { since: Instant },
    Ended,
}

/// The duty to answer one command, with the context that the command runs in.
///
/// A responder that is dropped unanswered answers [`super::AskError::Unavailable`].
pub struct Responder<C: Command> {
    reply: Option<oneshot::Sender<Result<C::Output, C::Error>>>,
    deadline: Instant,
    /// The span of the command, below the asking one; the asking one itself where nobody looks at commands.
    span: Span,
    stage: Stage,
    metrics: Arc<CommandMetrics>,
    _permit: OwnedSemaphorePermit,
    /// Keeps the actor of a key in memory for as long as it has work.
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
            // Who asked may not have noticed yet: a busy thread is late with its timers.
            if let Some(reply) = self.reply.take() {
                let _ = reply.send(Err(AskError::DeadlineExceeded.into()));
            }
            return false;
        }
        self.stage = Stage::Running { since: now };
        self.metrics.in_flight.inc();
        true
    }

    /// Makes the wait in the mailbox a span of its own.
    fn show_wait(&self, waited: Duration) {
        if telemetry::is_exporting() {
            let start = SystemTime::now().checked_sub(waited).unwrap_or(SystemTime::UNIX_EPOCH);
            PastSpan::internal("mailbox wait", start).record(telemetry::of(&self.span));
        }
    }

    /// The command ends unanswered. What its actor refuses is an answer, and no failure of the operation.
    fn fail(&self, outcome: &str) {
        self.span.record("actor.outcome", outcome);
        telemetry::failed(&self.span, outcome);
    }

    /// By when the answer is wanted.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Keeps the actor of this command's key in memory, as the command itself does: for work that outlives the answer.
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

    /// `future` within the deadline scope and the span of the command.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F, C> {
        deadline::scope(self.deadline, future).instrument(self.span.clone())
    }

    /// Answers the command, and frees its place in the actor's queue.
    pub fn answer(mut self, result: Result<C::Output, C::Error>) {
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
        if let Some(reply) = self.reply.take() {
            // A caller that is gone has no use for the answer.
            let _ = reply.send(result);
        }
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
