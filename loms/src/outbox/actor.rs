//! The actor that runs a shard's relay: it wakes the relay, and ends it once no events wait.

use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, ArbiterHandle, AsyncContext, Context, Handler};
use shared_actors::actor::{ActorOptions, AskError, Command, Envelope, Handle, Responder};

use super::recent::CommittedRow;
use super::relay::{Relay, RelayParts};

/// Further wakes of a busy actor add nothing to those that are queued.
const CAPACITY: usize = 64;

/// Tells the relay to read the outbox now.
struct Wake;

impl Command for Wake {
    type Output = ();
    type Error = AskError;
    const NAME: &'static str = "wake";
}

/// Publish the events of a row that was just committed.
struct Committed(CommittedRow);

impl Command for Committed {
    type Output = ();
    type Error = AskError;
    const NAME: &'static str = "committed";
}

/// Ends the relay once no events wait, or after a few seconds in any case. Answered when it has
/// ended.
struct Finish;

impl Command for Finish {
    type Output = ();
    type Error = AskError;
    const NAME: &'static str = "finish";
}

struct RelayActor {
    relay: Arc<Relay>,
    running: bool,
    finishing: Vec<Responder<Finish>>,
}

impl Actor for RelayActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let relay = Arc::clone(&self.relay);
        let run = wrap_future(async move { relay.run().await });
        ctx.spawn(run.map(|(), actor: &mut Self, _| {
            actor.running = false;
            for responder in actor.finishing.drain(..) {
                responder.answer(Ok(()));
            }
        }));
    }
}

impl Handler<Envelope<Wake>> for RelayActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Wake>, _: &mut Context<Self>) {
        let Some((Wake, responder)) = envelope.begin() else { return };
        self.relay.wake();
        responder.answer(Ok(()));
    }
}

impl Handler<Envelope<Committed>> for RelayActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Committed>, _: &mut Context<Self>) {
        let Some((Committed(row), responder)) = envelope.begin() else { return };
        self.relay.keep(row);
        self.relay.wake();
        responder.answer(Ok(()));
    }
}

impl Handler<Envelope<Finish>> for RelayActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Finish>, _: &mut Context<Self>) {
        let Some((Finish, responder)) = envelope.begin() else { return };
        self.relay.finish();
        if self.running {
            self.finishing.push(responder);
        } else {
            responder.answer(Ok(()));
        }
    }
}

/// Wakes and ends the relay of one shard. Cheap to clone.
#[derive(Clone)]
pub struct RelayHandle(Handle<RelayActor>);

impl RelayHandle {
    /// Starts the relay on `arbiter`. It publishes only while it holds the shard's lease, which one
    /// instance holds at a time.
    pub fn start(parts: RelayParts, arbiter: &ArbiterHandle) -> Self {
        let relay = Arc::new(Relay::new(parts));
        let build = move |_: &mut Context<RelayActor>| RelayActor {
            relay: Arc::clone(&relay),
            running: true,
            finishing: Vec::new(),
        };
        Self(Handle::supervise(ActorOptions::new("relay").capacity(CAPACITY), arbiter, build))
    }

    /// Notifies the relay that there are events to publish.
    pub fn wake(&self) {
        // If the mailbox is full of wakes, the relay will read the outbox anyway.
        let _ = self.0.tell(Wake);
    }

    /// Notifies the relay of a row of the outbox, with a copy of its events.
    pub(crate) fn committed(&self, row: CommittedRow) {
        // Without the copy, the relay reads the events from the outbox.
        let _ = self.0.tell(Committed(row));
    }

    /// Ends the relay once no events wait, or after a few seconds in any case, and releases its
    /// lease.
    pub async fn stop(&self) {
        if let Err(error) = self.0.ask(Finish).await {
            tracing::warn!(%error, "the relay did not stop cleanly");
        }
        self.0.drain().await;
    }
}
