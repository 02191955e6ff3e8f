//! The actor that keeps a shard's relay going: wakes it, and ends it when nothing waits.

use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, ArbiterHandle, AsyncContext, Context, Handler};
use shared_actors::actor::{ActorOptions, AskError, Command, Envelope, Handle, Responder};

use super::relay::{Relay, RelayParts};

/// Wakes that come while the actor is busy add nothing to those that wait already.
const CAPACITY: usize = 64;

/// Look into the outbox now.
struct Wake;

impl Command for Wake {
    type Output = ();
    type Error = AskError;
    const NAME: &'static str = "wake";
}

/// End the relay when nothing waits any more, soon in any case; answered when it has ended.
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
    /// Starts the relay on `arbiter`. It works while it holds the shard's lease, which one instance does at a time.
    pub fn start(parts: RelayParts, arbiter: &ArbiterHandle) -> Self {
        let relay = Arc::new(Relay::new(parts));
        let build = move |_: &mut Context<RelayActor>| RelayActor {
            relay: Arc::clone(&relay),
            running: true,
            finishing: Vec::new(),
        };
        Self(Handle::supervise(ActorOptions::new("relay").capacity(CAPACITY), arbiter, build))
    }

    /// Says that there is something to publish.
    pub fn wake(&self) {
        // A relay that is full of wakes is going to look anyway.
        let _ = self.0.tell(Wake);
    }

    /// Ends the relay when nothing waits any more, soon in any case, and gives its lease back.
    pub async fn stop(&self) {
        if let Err(error) = self.0.ask(Finish).await {
            tracing::warn!(%error, "the relay did not end by itself");
        }
        self.0.drain().await;
    }
}
