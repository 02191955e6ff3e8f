//! The way to ask one supervised actor.

use std::sync::{Arc, PoisonError, RwLock};

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, ArbiterHandle, Context, Handler};
use tokio::sync::watch;

use super::command::{AskError, Command};
use super::envelope::Envelope;
use super::gate::Gate;
use super::options::ActorOptions;
use super::supervisor;

/// Asks one actor. Cheap to clone; outlives the actor's restarts; admits no more than the actor's capacity.
pub struct Handle<A: Actor> {
    pub(super) shared: Arc<Shared<A>>,
}

pub(super) struct Shared<A: Actor> {
    pub options: ActorOptions,
    pub gate: Gate,
    /// The living actor; `None` before the first and after the last one.
    pub address: RwLock<Option<Addr<A>>>,
    /// Changed, or dropped with the last handle, to end the actor and its supervision.
    pub stop: watch::Sender<()>,
}

impl<A: Actor> Clone for Handle<A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<A: Actor<Context = Context<A>>> Handle<A> {
    /// Starts an actor on `arbiter` and keeps it alive: when it panics, `factory` builds another one there after the
    /// backoff of `options`. The actor ends with [`Handle::drain`], or when the last clone of the handle is gone.
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

    /// Admits nothing more, waits until all that was accepted is answered, then stops the actor. Whoever asks later
    /// gets [`AskError::Unavailable`]. The wait has no bound of its own: see [`crate::shutdown::Shutdown`].
    pub async fn drain(&self) {
        self.shared.gate.drain().await;
        self.shared.stop.send_replace(());
    }
}

impl<A: Actor> Handle<A> {
    /// Asks the actor, and waits for the answer until the deadline of the current task or the actor's own, whichever
    /// is earlier.
    ///
    /// # Errors
    /// What the actor answers, and each [`AskError`] as the command's error.
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

    /// Hands the actor a command without waiting for its answer.
    ///
    /// # Errors
    /// `Overloaded` and `Unavailable`, when the command was not admitted.
    pub fn tell<C>(&self, command: C) -> Result<(), AskError>
    where
        C: Command,
        A: Handler<Envelope<C>>,
        A::Context: ToEnvelope<A, Envelope<C>>,
    {
        self.deliver(self.shared.gate.admit_unanswered(command)?);
        Ok(())
    }

    /// An envelope for an actor that is gone is dropped here, and so answered.
    fn deliver<C>(&self, envelope: Envelope<C>)
    where
        C: Command,
        A: Handler<Envelope<C>>,
        A::Context: ToEnvelope<A, Envelope<C>>,
    {
        let address = self.shared.address.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = &*address {
            // Not bounded by actix' mailbox: the gate has bounded it already.
            address.do_send(envelope);
        }
    }
}
