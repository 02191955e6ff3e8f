//! The producer's actor: runs one publication after the other, on a thread where librdkafka may
//! block.

use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler};
use shared_actors::actor::{Command, Envelope};
use tokio::task::spawn_blocking;
use tracing::Span;

use super::session::{Panicked, Session};
use super::{ProducerError, ProducerOptions};
use crate::record::Record;

/// Publish these records; a transactional producer publishes all of them or none.
pub(super) struct Publish {
    pub records: Vec<Record>,
}

impl Command for Publish {
    type Output = ();
    type Error = ProducerError;
    const NAME: &'static str = "publish";
}

/// Publish these records independently of each other.
pub(super) struct PublishEach {
    pub records: Vec<Record>,
}

impl Command for PublishEach {
    type Output = Vec<Result<(), ProducerError>>;
    type Error = ProducerError;
    const NAME: &'static str = "publish_each";
}

/// Become the only holder of the transactional id.
pub(super) struct Fence;

impl Command for Fence {
    type Output = ();
    type Error = ProducerError;
    const NAME: &'static str = "fence";
}

pub(super) struct ProducerActor {
    session: Arc<Session>,
}

impl ProducerActor {
    pub fn new(options: &ProducerOptions) -> Self {
        Self { session: Arc::new(Session::new(options)) }
    }

    /// Runs `work` on a blocking thread and answers the envelope with its result. The actor's
    /// mailbox waits meanwhile, which keeps publications in order.
    fn serve<C>(
        &self,
        envelope: Envelope<C>,
        ctx: &mut Context<Self>,
        work: impl FnOnce(&Session, C) -> Result<C::Output, ProducerError> + Send + 'static,
    ) where
        C: Command<Error = ProducerError>,
    {
        let Some((command, responder)) = envelope.begin() else { return };
        let session = Arc::clone(&self.session);
        let done = responder.scope(async move {
            let span = Span::current();
            spawn_blocking(move || {
                span.in_scope(|| session.guard(|session| work(session, command)))
            })
            .await
        });
        ctx.wait(wrap_future(done).map(|done, _, ctx: &mut Context<Self>| match done {
            Ok(Ok(result)) => {
                responder.answer(result);
            }
            // Dropping the responder answers `Unavailable`. The supervisor rebuilds the actor
            // together with its client.
            Ok(Err(Panicked)) | Err(_) => ctx.stop(),
        }));
    }
}

impl Actor for ProducerActor {
    type Context = Context<Self>;

    /// Connects before the first publication, so that health reports the state of Kafka from the
    /// start.
    fn started(&mut self, ctx: &mut Context<Self>) {
        let session = Arc::clone(&self.session);
        let connected = spawn_blocking(move || session.guard(Session::connect));
        ctx.spawn(wrap_future(connected).map(|connected, _, ctx: &mut Context<Self>| {
            if !matches!(connected, Ok(Ok(()))) {
                ctx.stop();
            }
        }));
    }
}

impl Handler<Envelope<Publish>> for ProducerActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Publish>, ctx: &mut Context<Self>) {
        self.serve(envelope, ctx, |session, Publish { records }| session.publish(&records));
    }
}

impl Handler<Envelope<PublishEach>> for ProducerActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<PublishEach>, ctx: &mut Context<Self>) {
        self.serve(envelope, ctx, |session, PublishEach { records }| {
            session.publish_each(&records)
        });
    }
}

impl Handler<Envelope<Fence>> for ProducerActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Fence>, ctx: &mut Context<Self>) {
        self.serve(envelope, ctx, |session, Fence| session.fence());
    }
}
