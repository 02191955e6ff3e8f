//! The handle of one supervised actor.

use std::sync::{Arc, PoisonError, RwLock};

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, ArbiterHandle, Context, Handler};
use tokio::sync::watch;

use super::command::{AskError, Command};
use super::envelope::Envelope;
use super::gate::Gate;
use super::options::ActorOptions;
use super::supervisor;

/// Sends commands to one actor. Cheap to clone. It survives restarts of the actor, and admits no
/// more commands than the actor's capacity.
pub struct Handle<A: Actor> {
    pub(super) shared: Arc<Shared<A>>,
}

pub(super) struct Shared<A: Actor> {
    pub options: ActorOptions,
    pub gate: Gate,
    /// The address of the running actor. `None` before the first start and after the final stop.
    pub address: RwLock<Option<Addr<A>>>,
    /// Changing it, or dropping it with the last handle, ends the actor and its supervision.
    pub stop: watch::Sender<()>,
}

impl<A: Actor> Clone for Handle<A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<A: Actor<Context = Context<A>>> Handle<A> {
    /// Starts an actor on `arbiter` and keeps it alive. If the actor panics, `factory` builds a new
    /// one on the same arbiter, after the backoff of `options`. The actor ends with
    /// [`Handle::drain`], or when the last clone of the handle is dropped.
    pub fn supervise(
        options: ActorOptions,
        arbiter: &ArbiterHandle,
        factory: impl Fn(&mut Context<A>) -> A + Send + Sync + 'static,
    ) -> Self {
        let gate = Gate::new(options.name, options.capacity, options.deadline, options.retry_after);
        let (stop, stopped) = watch::channel(());
        let shared = Arc::new(Shared { options, gate, address: RwLock::new(None), stop });
        supervisor::start(&shared, stopped, arbiter, factory);
        Self { shared }
    }

    /// Admits no more commands, waits until all admitted ones are answered, then stops the actor.
    /// Later commands get [`AskError::Unavailable`]. The wait has no time limit of its own: see
    /// [`crate::shutdown::Shutdown`].
    pub async fn drain(&self) {
        self.shared.gate.drain().await;
        self.shared.stop.send_replace(());
    }
}

impl<A: Actor> Handle<A> {
    /// Asks the actor and waits for the answer. The wait ends at the deadline of the current task
    /// or at the actor's own deadline, whichever is earlier.
    ///
    /// # Errors
    /// The actor's own error, or an [`AskError`] converted to the command's error type.
    pub async fn ask<C>(&self, command: C) -> Result<C::Output, C::Error>
    where
        C: Command,
        A: Handler<Envelope<C>>,
        A::Context: ToEnvelope<A, Envelope<C>>,
    {
        let (envelope, pending) = self.shared.gate.admit(command)?;
        self.deliver(envelope);
        pending.answer().await
    }

    /// Sends a command to the actor without waiting for the answer.
    ///
    /// # Errors
    /// `Overloaded` or `Unavailable` if the command was not admitted.
    pub fn tell<C>(&self, command: C) -> Result<(), AskError>
    where
        C: Command,
        A: Handler<Envelope<C>>,
        A::Context: ToEnvelope<A, Envelope<C>>,
    {
        self.deliver(self.shared.gate.admit_unanswered(command)?);
        Ok(())
    }

    /// Sends the envelope. If the actor is gone, the envelope is dropped here, which answers it.
    fn deliver<C>(&self, envelope: Envelope<C>)
    where
        C: Command,
        A: Handler<Envelope<C>>,
        A::Context: ToEnvelope<A, Envelope<C>>,
    {
        let address = self.shared.address.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = &*address {
            // `do_send` ignores the limit of actix's mailbox: the gate already bounds the queue.
            address.do_send(envelope);
        }
    }
}
