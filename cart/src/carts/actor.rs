//! The actor of one user: runs the user's changes one after the other, and the checkout
//! concurrently.

mod checkout;

use std::collections::HashMap;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler};
use shared_actors::actor::{Command, Envelope};
use shared_actors::deadline;
use tokio::time::Instant;
use tracing::{Instrument, Span};
use uuid::Uuid;

use self::checkout::Pursuit;
use super::commands::{AddItem, ClearCart, RemoveItem};
use super::decide;
use super::shard::CartShardHandle;
use super::state::{Change, Loaded, StoredCart};
use super::transaction::{Done, Start, transact};
use crate::domain::{Cart, CartError, UserId};
use crate::idempotency::KeyedRequest;
use crate::loms::Loms;

/// How long a settlement may take. The commands that wait for it have separate deadlines.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);

/// Caches one user's row. A command that changes the row blocks the mailbox until its commit. The
/// call to loms within a checkout does not.
pub struct CartActor {
    user: UserId,
    shard: CartShardHandle,
    loms: Loms,
    known: Option<StoredCart>,
    /// The checkouts that loms is being asked for, by intent id. There is more than one only if
    /// another instance has settled the others.
    pursuits: HashMap<Uuid, Pursuit>,
}

impl CartActor {
    /// The actor of `user`, whose row is on `shard`.
    pub fn new(user: UserId, shard: CartShardHandle, loms: Loms) -> Self {
        Self { user, shard, loms, known: None, pursuits: HashMap::new() }
    }

    fn change<C>(
        &mut self,
        envelope: Envelope<C>,
        ctx: &mut Context<Self>,
        request: fn(&C) -> Option<&KeyedRequest>,
        apply: fn(&C, &Cart) -> Result<Cart, CartError>,
    ) where
        C: Command<Output = (), Error = CartError>,
    {
        let Some((command, responder)) = envelope.begin() else { return };
        let (user, shard, known) = (self.user, self.shard.clone(), self.known.take());
        let work = responder.scope(async move {
            let request = request(&command);
            let start =
                Start { shard: &shard, user, known, key: request.map(|request| &request.key) };
            transact(start, |current| {
                decide::change(current, request, |cart| apply(&command, cart))
            })
            .await
        });
        ctx.wait(wrap_future(work).map(|done: Done<()>, actor: &mut Self, _| {
            actor.known = done.known;
            responder.answer(done.result);
        }));
    }

    /// Makes the change that `decide` chooses. The deadlines of commands do not interrupt it.
    fn write(
        &mut self,
        decide: impl Fn(&Loaded) -> Option<Change> + 'static,
        span: Span,
        ctx: &mut Context<Self>,
        then: impl FnOnce(UserId, Result<(), CartError>) + 'static,
    ) {
        let (user, shard, known) = (self.user, self.shard.clone(), self.known.take());
        let work = async move {
            let start = Start { shard: &shard, user, known, key: None };
            transact(start, |current| Ok((decide(current), ()))).await
        };
        let work = deadline::scope(Instant::now() + SETTLE_WITHIN, work).instrument(span);
        ctx.wait(wrap_future(work).map(move |done: Done<()>, actor: &mut Self, _| {
            actor.known = done.known;
            then(user, done.result);
        }));
    }
}

impl Actor for CartActor {
    type Context = Context<Self>;
}

impl Handler<Envelope<AddItem>> for CartActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<AddItem>, ctx: &mut Self::Context) {
        self.change(
            envelope,
            ctx,
            |add| add.keyed.as_ref().map(|keyed| &keyed.request),
            |add, cart| cart.plus(add.sku, add.count, add.available),
        );
    }
}

impl Handler<Envelope<RemoveItem>> for CartActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<RemoveItem>, ctx: &mut Self::Context) {
        self.change(envelope, ctx, |_| None, |remove, cart| Ok(cart.without(remove.sku)));
    }
}

impl Handler<Envelope<ClearCart>> for CartActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<ClearCart>, ctx: &mut Self::Context) {
        self.change(envelope, ctx, |_| None, |_, _| Ok(Cart::default()));
    }
}
