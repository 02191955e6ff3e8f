//! The actor of one user: runs the user's changes one after the other, and the checkout
//! concurrently.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler};
use shared_actors::actor::{Activity, Command, Envelope, Responder};
use shared_actors::deadline;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{Instrument, Span, warn};
use uuid::Uuid;

use super::commands::{AddItem, Checkout, ClearCart, Keyed, RemoveItem};
use super::decide::{self, Begun};
use super::shard::CartShardHandle;
use super::state::{Change, Loaded, StoredCart};
use super::transaction::{Done, Start, transact};
use crate::checkout::{Intent, Outcome, REQUEST, place};
use crate::domain::{Cart, CartError, OrderId, Part, UserId};
use crate::idempotency::{IdempotencyKey, KeyedRequest, StoredAnswer};
use crate::loms::Loms;
use crate::patience;

/// A checkout with less time left when its turn comes is refused before anything is written.
const LEAST: Duration = Duration::from_millis(20);
/// How long a settlement may take. The commands that wait for it have separate deadlines.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);
/// The maximum number of keys that may join one checkout.
const MAX_KEYS: usize = 1000;

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

/// A checkout that loms is being asked for, with its own time limit. Commands that ask for the same
/// checkout meanwhile get the same answer, unless they stop waiting first.
struct Pursuit {
    intent: Intent,
    /// The keys under which the answer will be stored, including those of commands that no longer
    /// wait.
    keys: BTreeSet<IdempotencyKey>,
    waiting: Vec<oneshot::Sender<Result<OrderId, CartError>>>,
    activity: Activity,
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

    /// Asks loms for the order of `intent`, unless that is already in progress.
    fn pursue(
        &mut self,
        intent: Intent,
        keyed: Option<Keyed>,
        responder: Responder<Checkout>,
        ctx: &mut Context<Self>,
    ) {
        let id = intent.id;
        let pursuit = self.pursuits.entry(id).or_insert_with(|| {
            let work = responder.scope(pursuit(self.loms.clone(), self.user, intent.clone()));
            ctx.spawn(wrap_future(work).map(move |(outcome, span), actor: &mut Self, ctx| {
                actor.settle(id, outcome, span, ctx);
            }));
            let keys = intent.key.iter().cloned().collect();
            Pursuit { intent, keys, waiting: Vec::new(), activity: responder.activity() }
        });
        if let Some(keyed) = &keyed {
            if pursuit.keys.len() >= MAX_KEYS {
                // An order may be in progress; an overload error would claim that nothing was done.
                return responder.answer(Err(CartError::Unavailable(Part::Carts)));
            }
            pursuit.keys.insert(keyed.request.key.clone());
        }
        pursuit.waiting.retain(|waiting| !waiting.is_closed());
        let (sender, answer) = oneshot::channel();
        pursuit.waiting.push(sender);
        actix::spawn(async move {
            let answer = async { answer.await.unwrap_or(Err(CartError::Unavailable(Part::Carts))) };
            let answer = patience::wait(responder.deadline(), Part::Loms, answer).await;
            // The key must be free before the client sees the answer.
            drop(keyed);
            responder.answer(answer);
        });
    }

    fn settle(&mut self, id: Uuid, outcome: Outcome, span: Span, ctx: &mut Context<Self>) {
        let Some(Pursuit { intent, keys, waiting, activity }) = self.pursuits.remove(&id) else {
            return;
        };
        let order = match outcome {
            Outcome::Created(order) => Ok(order),
            Outcome::Refused(error) => Err(error),
            Outcome::Unknown(error @ CartError::BadGateway(_)) => {
                // The rest must be written before any answer, because the answer may cause a retry.
                let decide = move |current: &_| decide::rest(current, intent.id);
                return self.write(decide, span, ctx, move |_, _| {
                    answer_all(waiting, &Err(error));
                    drop(activity);
                });
            }
            Outcome::Unknown(error) => return answer_all(waiting, &Err(error)),
        };
        let answers = order.as_ref().map_or_else(|_| Vec::new(), |order| answers(*order, keys));
        let ordered = order.is_ok();
        let decide = move |current: &_| decide::settle(current, intent.id, ordered, &answers);
        self.write(decide, span, ctx, move |user, result| {
            // The outcome is final even if it could not be settled: the sweeper will settle it.
            if let Err(error) = result {
                warn!(%user, intent = %id, %error, "a checkout could not be settled, the sweeper will retry");
            }
            answer_all(waiting, &order);
            // No second actor of this user may start before this point.
            drop(activity);
        });
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

/// Returns the outcome, and the span that the settlement continues.
async fn pursuit(loms: Loms, user: UserId, intent: Intent) -> (Outcome, Span) {
    (place(loms, user, intent).await, Span::current())
}

fn answer_all(
    waiting: Vec<oneshot::Sender<Result<OrderId, CartError>>>,
    result: &Result<OrderId, CartError>,
) {
    for waiting in waiting {
        // This fails for commands whose deadline has passed: they no longer wait.
        let _ = waiting.send(result.clone());
    }
}

fn answers(order: OrderId, keys: BTreeSet<IdempotencyKey>) -> Vec<(IdempotencyKey, StoredAnswer)> {
    let answer = StoredAnswer { request: REQUEST.to_owned(), order: Some(order) };
    keys.into_iter().map(|key| (key, answer.clone())).collect()
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

impl Handler<Envelope<Checkout>> for CartActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Checkout>, ctx: &mut Self::Context) {
        let Some((Checkout { keyed, asker }, responder)) = envelope.begin() else { return };
        if responder.deadline() < Instant::now() + LEAST {
            return responder.answer(Err(CartError::DeadlineExceeded(Part::Carts)));
        }
        let (user, shard, known) = (self.user, self.shard.clone(), self.known.take());
        let pursued: Vec<Uuid> = self.pursuits.keys().copied().collect();
        let work = responder.scope(async move {
            let request = keyed.as_ref().map(|keyed| &keyed.request);
            let start =
                Start { shard: &shard, user, known, key: request.map(|request| &request.key) };
            let pursued = |intent| pursued.contains(&intent);
            let done =
                transact(start, |current| decide::begin(current, request, asker, pursued)).await;
            (done, keyed)
        });
        ctx.wait(wrap_future(work).map(
            |(done, keyed), actor: &mut Self, ctx: &mut Context<Self>| {
                let done: Done<Begun> = done;
                actor.known = done.known;
                match done.result {
                    Ok(Begun::Answered(order)) => responder.answer(Ok(order)),
                    Ok(Begun::Intent(intent)) => actor.pursue(intent, keyed, responder, ctx),
                    Err(error) => responder.answer(Err(error)),
                }
            },
        ));
    }
}
