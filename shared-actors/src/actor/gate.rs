//! The bounded entrance of an actor: admits a command or refuses it at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};
use tokio::time::{Instant, timeout_at};

use super::command::{AskError, Command};
use super::envelope::{Envelope, Responder};
use super::metrics::ActorMetrics;
use crate::deadline;
use crate::fits;

pub(super) struct Gate {
    permits: Arc<Semaphore>,
    capacity: u32,
    deadline: Duration,
    retry_after: Duration,
    pub metrics: ActorMetrics,
}

/// A place among the queued or running commands.
pub(super) struct Permit(OwnedSemaphorePermit);

/// The pending answer to an admitted command.
pub(super) struct Pending<C: Command> {
    reply: oneshot::Receiver<Result<C::Output, C::Error>>,
    deadline: Instant,
}

impl Gate {
    pub fn new(
        name: &'static str,
        capacity: usize,
        deadline: Duration,
        retry_after: Duration,
    ) -> Self {
        assert!(capacity > 0, "{name} must admit commands");
        let permits = Arc::new(Semaphore::new(capacity));
        let capacity: u32 = fits(capacity);
        let metrics = ActorMetrics::new(name);
        metrics.capacity.add(capacity.into());
        Self { permits, capacity, deadline, retry_after, metrics }
    }

    /// Admits a command whose caller waits for the answer.
    pub fn admit<C: Command>(&self, command: C) -> Result<(Envelope<C>, Pending<C>), AskError> {
        Ok(self.seal(self.permit::<C>()?, command, None))
    }

    /// Admits a command whose answer nobody waits for.
    pub fn admit_unanswered<C: Command>(&self, command: C) -> Result<Envelope<C>, AskError> {
        let permit = self.permit::<C>()?;
        Ok(self.envelope(permit, command, None, Instant::now() + self.deadline, None))
    }

    /// Takes a place for a command that is passed to [`Self::seal`] later.
    pub fn permit<C: Command>(&self) -> Result<Permit, AskError> {
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => Ok(Permit(permit)),
            Err(TryAcquireError::NoPermits) => Err(self.refuse::<C>()),
            Err(TryAcquireError::Closed) => {
                self.metrics.command(C::NAME).unavailable.inc();
                Err(AskError::Unavailable)
            }
        }
    }

    /// Puts an admitted command into an envelope, ready to be sent. The caller waits for the
    /// answer.
    pub fn seal<C: Command>(
        &self,
        permit: Permit,
        command: C,
        activity: Option<Arc<()>>,
    ) -> (Envelope<C>, Pending<C>) {
        let (sender, reply) = oneshot::channel();
        let deadline = deadline::within(self.deadline);
        (
            self.envelope(permit, command, Some(sender), deadline, activity),
            Pending { reply, deadline },
        )
    }

    /// Counts a command that is refused because there is no free place, and returns the error.
    pub fn refuse<C: Command>(&self) -> AskError {
        self.metrics.command(C::NAME).overloaded.inc();
        AskError::Overloaded { retry_after: self.retry_after }
    }

    fn envelope<C: Command>(
        &self,
        Permit(permit): Permit,
        command: C,
        reply: Option<oneshot::Sender<Result<C::Output, C::Error>>>,
        deadline: Instant,
        activity: Option<Arc<()>>,
    ) -> Envelope<C> {
        let metrics = self.metrics.command(C::NAME);
        Envelope::new(command, Responder::new(reply, deadline, metrics, permit, activity))
    }

    /// Admits no more commands and waits until all admitted ones are answered.
    pub async fn drain(&self) {
        // Waiting for all permits holds back every permit that is returned, so nobody else gets it.
        let all = self.permits.acquire_many(self.capacity).await;
        self.permits.close();
        drop(all);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.metrics.capacity.sub(self.capacity.into());
    }
}

impl<C: Command> Pending<C> {
    pub async fn answer(self) -> Result<C::Output, C::Error> {
        match timeout_at(self.deadline, self.reply).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(AskError::Unavailable.into()),
            Err(_) => Err(AskError::DeadlineExceeded.into()),
        }
    }
}
