//! The actor of one user: their changes one after the other, and their checkout beside them.

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler};
use futures::future::Either;
use shared_actors::actor::{Command, Envelope, Responder};

use super::commands::{AddItem, Checkout, ClearCart, Keyed, RemoveItem};
use super::shard::CartShard;
use super::state::{Change, IntentChange, Loaded, StoredCart};
use super::transaction::{Done, Start, transact};
use crate::checkout::{Intent, Outcome, REQUEST, place};
use crate::domain::{Cart, CartError, OrderId, UserId};
use crate::idempotency::{IdempotencyKey, KeyedRequest, StoredAnswer};
use crate::loms::Loms;

/// Holds what is known of one user's row. A command that changes it holds up the mailbox until its commit; the call to
/// loms within a checkout does not.
pub struct CartActor {
    user: UserId,
    shard: CartShard,
    loms: Loms,
    known: Option<StoredCart>,
    checkout: Option<UnderWay>,
}

/// A checkout that is with loms. Those who ask for one meanwhile get the same answer.
struct UnderWay {
    intent: Intent,
    waiting: Vec<Waiting>,
}

struct Waiting {
    keyed: Option<Keyed>,
    responder: Responder<Checkout>,
}

enum Begun {
    /// The answer was stored under the request's key.
    Answered(OrderId),
    /// This is to be ordered now.
    Intent(Intent),
}

impl CartActor {
    /// The actor of `user`, whose row is on `shard`.
    pub fn new(user: UserId, shard: CartShard, loms: Loms) -> Self {
        Self { user, shard, loms, known: None, checkout: None }
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
            let start = Start { shard: &shard, user, known, key: request.map(|request| &request.key) };
            transact(start, |current| decide_change(current, request, |cart| apply(&command, cart))).await
        });
        ctx.wait(wrap_future(work).map(|done: Done<()>, actor: &mut Self, ctx: &mut Context<Self>| {
            actor.known = done.known;
            responder.answer(done.result);
            actor.resume(ctx);
        }));
    }

    /// Takes up a checkout that was left open.
    fn resume(&mut self, ctx: &mut Context<Self>) {
        let open = self.known.as_ref().and_then(|known| known.intent.clone());
        if let (Some(intent), None) = (open, &self.checkout) {
            self.pursue(intent, Vec::new(), ctx);
        }
    }

    fn pursue(&mut self, intent: Intent, waiting: Vec<Waiting>, ctx: &mut Context<Self>) {
        let work = place(self.loms.clone(), self.user, intent.clone());
        let work = scoped(&waiting, work);
        self.checkout = Some(UnderWay { intent, waiting });
        ctx.spawn(wrap_future(work).map(|outcome, actor: &mut Self, ctx: &mut Context<Self>| {
            actor.settle(outcome, ctx);
        }));
    }

    fn settle(&mut self, outcome: Outcome, ctx: &mut Context<Self>) {
        let Some(UnderWay { intent, waiting }) = self.checkout.take() else { return };
        let order = match outcome {
            Outcome::Created(order) => Ok(order),
            Outcome::Refused(error) => Err(error),
            Outcome::Unknown(error) => return answer_all(waiting, &Err(error)),
        };
        let answers = order.as_ref().map_or_else(|_| Vec::new(), |order| answers(*order, &intent, &waiting));
        let ordered = order.is_ok();
        let (user, shard, known) = (self.user, self.shard.clone(), self.known.take());
        let work = scoped(&waiting, async move {
            let start = Start { shard: &shard, user, known, key: None };
            transact(start, |current| Ok((decide_settlement(current, &intent, ordered, &answers), ()))).await
        });
        ctx.wait(wrap_future(work).map(|done: Done<()>, actor: &mut Self, _| {
            actor.known = done.known;
            answer_all(waiting, &done.result.and(order));
        }));
    }
}

/// Within the context of the first who waits.
fn scoped<F: Future>(waiting: &[Waiting], work: F) -> impl Future<Output = F::Output> + use<F> {
    match waiting.first() {
        Some(Waiting { responder, .. }) => Either::Left(responder.scope(work)),
        None => Either::Right(work),
    }
}

fn answer_all(waiting: Vec<Waiting>, result: &Result<OrderId, CartError>) {
    for Waiting { keyed, responder } in waiting {
        drop(keyed);
        responder.answer(result.clone());
    }
}

fn answers(order: OrderId, intent: &Intent, waiting: &[Waiting]) -> Vec<(IdempotencyKey, StoredAnswer)> {
    let waiting = waiting.iter().filter_map(|waiting| Some(&waiting.keyed.as_ref()?.request.key));
    let mut keys: Vec<&IdempotencyKey> = waiting.chain(&intent.key).collect();
    keys.sort_unstable();
    keys.dedup();
    let answer = StoredAnswer { request: REQUEST.to_owned(), order: Some(order) };
    keys.into_iter().map(|key| (key.clone(), answer.clone())).collect()
}

fn decide_change(
    current: &Loaded,
    request: Option<&KeyedRequest>,
    apply: impl Fn(&Cart) -> Result<Cart, CartError>,
) -> Result<(Option<Change>, ()), CartError> {
    if let (Some(request), Some(answer)) = (request, &current.answer) {
        answer.replay(request)?;
        return Ok((None, ()));
    }
    // Another instance, or nobody at the moment, is at the checkout that the key came with first: its answer is to be
    // stored under the key.
    let open = current.stored.intent.as_ref().and_then(|intent| intent.key.as_ref());
    if open.is_some() && open == request.map(|request| &request.key) {
        return Err(CartError::KeyInFlight);
    }
    let cart = apply(&current.stored.cart)?;
    let change = (cart != current.stored.cart).then(|| Change::of(cart).answering(request));
    Ok((change, ()))
}

fn decide_beginning(
    current: &Loaded,
    request: Option<&KeyedRequest>,
    may_begin: bool,
) -> Result<(Option<Change>, Begun), CartError> {
    if let (Some(request), Some(answer)) = (request, &current.answer) {
        let order = answer.replay(request)?.ok_or(CartError::KeyReused)?;
        return Ok((None, Begun::Answered(order)));
    }
    if let Some(open) = &current.stored.intent {
        return Ok((None, Begun::Intent(open.clone())));
    }
    if !may_begin || current.stored.cart.is_empty() {
        return Err(CartError::EmptyCart);
    }
    let intent = Intent::new(&current.stored.cart, request.map(|request| request.key.clone()));
    let mut change = Change::of(current.stored.cart.clone());
    change.intent = IntentChange::Open(intent.clone());
    Ok((Some(change), Begun::Intent(intent)))
}

/// Where the intent is gone, another instance has settled it: only the answers are still to be remembered.
fn decide_settlement(
    current: &Loaded,
    intent: &Intent,
    ordered: bool,
    answers: &[(IdempotencyKey, StoredAnswer)],
) -> Option<Change> {
    let cart = &current.stored.cart;
    let open = current.stored.intent.as_ref().is_some_and(|open| open.id == intent.id);
    if !open && answers.is_empty() {
        return None;
    }
    let left = if open && ordered { cart.minus(&intent.ordered) } else { cart.clone() };
    let change = if open { IntentChange::Close } else { IntentChange::Keep };
    Some(Change { cart: left, intent: change, answers: answers.to_vec() })
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
        let Some((Checkout { keyed, may_begin }, responder)) = envelope.begin() else { return };
        if let Some(under_way) = &mut self.checkout {
            return under_way.waiting.push(Waiting { keyed, responder });
        }
        let (user, shard, known) = (self.user, self.shard.clone(), self.known.take());
        let work = responder.scope(async move {
            let request = keyed.as_ref().map(|keyed| &keyed.request);
            let start = Start { shard: &shard, user, known, key: request.map(|request| &request.key) };
            let done = transact(start, |current| decide_beginning(current, request, may_begin)).await;
            (done, keyed)
        });
        ctx.wait(wrap_future(work).map(|(done, keyed), actor: &mut Self, ctx: &mut Context<Self>| {
            let done: Done<Begun> = done;
            actor.known = done.known;
            match done.result {
                Ok(Begun::Answered(order)) => responder.answer(Ok(order)),
                Ok(Begun::Intent(intent)) => actor.pursue(intent, vec![Waiting { keyed, responder }], ctx),
                Err(error) => responder.answer(Err(error)),
            }
        }));
    }
}
