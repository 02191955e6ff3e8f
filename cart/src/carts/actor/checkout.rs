//! The checkouts of one user: asks loms concurrently with the other commands.

use std::collections::BTreeSet;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{ActorFutureExt, AsyncContext, Context, Handler};
use service_kit::settings::Secret;
use shared_actors::actor::{Activity, Envelope, Responder};
use shared_actors::crash_point;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{Span, warn};
use uuid::Uuid;

use super::super::commands::{Checkout, Keyed};
use super::super::decide::{self, Begun, End, Pursued};
use super::super::transaction::{Done, Start, transact};
use super::CartActor;
use crate::checkout::{Asker, Intent, Outcome, REQUEST, place};
use crate::domain::{CartError, OrderId, Part, UserId};
use crate::idempotency::{IdempotencyKey, StoredAnswer};
use crate::loms::Loms;
use crate::patience;

/// A checkout with less time left when its turn comes is refused before anything is written.
const LEAST: Duration = Duration::from_millis(20);
/// The maximum number of keys that may join one checkout.
const MAX_KEYS: usize = 1000;

/// A checkout that loms is being asked for, with its own time limit. Commands that ask for the same
/// checkout meanwhile get the same answer, unless they stop waiting first.
pub(super) struct Pursuit {
    intent: Intent,
    /// The keys under which the answer will be stored, including those of commands that no longer
    /// wait.
    keys: BTreeSet<IdempotencyKey>,
    /// Whether a user's request without a key asks for the order.
    has_keyless: bool,
    waiting: Vec<oneshot::Sender<Outcome>>,
    activity: Activity,
}

/// A checkout request that waits for the end of a [`Pursuit`].
struct Waiting {
    keyed: Option<Keyed>,
    asker: Asker,
    token: Option<Secret>,
    responder: Responder<Checkout>,
    /// It came later than the checkout that it waits for, and starts again afterwards.
    is_behind: bool,
}

impl CartActor {
    /// Begins or continues a checkout.
    fn checkout(
        &mut self,
        Checkout { keyed, asker, token }: Checkout,
        responder: Responder<Checkout>,
        ctx: &mut Context<Self>,
    ) {
        if responder.deadline() < Instant::now() + LEAST {
            responder.answer(Err(CartError::DeadlineExceeded(Part::Carts)));
            return;
        }
        let (user, shard, known) = (self.user, self.shard.clone(), self.known.take());
        let pursued = self.pursued(keyed.as_ref());
        let work = responder.scope(async move {
            let request = keyed.as_ref().map(|keyed| &keyed.request);
            let start =
                Start { shard: &shard, user, known, key: request.map(|request| &request.key) };
            let done =
                transact(start, |current| decide::begin(current, request, asker, &pursued)).await;
            (done, keyed)
        });
        ctx.wait(wrap_future(work).map(
            move |(done, keyed), actor: &mut Self, ctx: &mut Context<Self>| {
                let done: Done<Begun> = done;
                actor.known = done.known;
                let (intent, is_behind) = match done.result {
                    Ok(Begun::Intent(intent)) => (intent, false),
                    Ok(Begun::Behind(intent)) => (intent, true),
                    Ok(Begun::Unreported(order)) => {
                        let (is_keyless, activity) = (keyed.is_none(), responder.activity());
                        drop(keyed);
                        if responder.answer(Ok(order)) && is_keyless {
                            actor.reported(order, activity, ctx);
                        }
                        return;
                    }
                    Ok(Begun::Answered(order)) => {
                        responder.answer(Ok(order));
                        return;
                    }
                    Err(error) => {
                        responder.answer(Err(error));
                        return;
                    }
                };
                if asker == Asker::User {
                    crash_point!("checkout::begun");
                } else {
                    crash_point!("sweep::claimed");
                }
                actor.pursue(intent, Waiting { keyed, asker, token, responder, is_behind }, ctx);
            },
        ));
    }

    /// The checkouts that loms is being asked for, as [`decide::begin`] needs them.
    fn pursued(&self, keyed: Option<&Keyed>) -> Pursued {
        let has_joined = |pursuit: &Pursuit| {
            keyed.is_some_and(|keyed| pursuit.keys.contains(&keyed.request.key))
        };
        self.pursuits.iter().map(|(id, pursuit)| (*id, has_joined(pursuit))).collect()
    }

    /// Asks loms for the order of `intent`, unless that is already in progress.
    fn pursue(&mut self, intent: Intent, waiting: Waiting, ctx: &mut Context<Self>) {
        let id = intent.id;
        let pursuit = self.pursuits.entry(id).or_insert_with(|| {
            let loms = self.loms.on_behalf_of(waiting.token.clone());
            let work = waiting.responder.scope(pursuit(loms, self.user, intent.clone()));
            ctx.spawn(wrap_future(work).map(move |(outcome, span), actor: &mut Self, ctx| {
                actor.settle(id, outcome, span, ctx);
            }));
            Pursuit {
                keys: intent.key.iter().cloned().collect(),
                has_keyless: false,
                waiting: Vec::new(),
                activity: waiting.responder.activity(),
                intent,
            }
        });
        if !waiting.is_behind {
            match &waiting.keyed {
                Some(_) if pursuit.keys.len() >= MAX_KEYS => {
                    // An order may be in progress; an overload error would claim that nothing was
                    // done.
                    waiting.responder.answer(Err(CartError::Unavailable(Part::Carts)));
                    return;
                }
                Some(keyed) => {
                    pursuit.keys.insert(keyed.request.key.clone());
                }
                None => pursuit.has_keyless |= waiting.asker == Asker::User,
            }
        }
        pursuit.waiting.retain(|waiting| !waiting.is_closed());
        let (sender, outcome) = oneshot::channel();
        pursuit.waiting.push(sender);
        let deadline = waiting.responder.deadline();
        let outcome = async move {
            let lost = |_| Outcome::Unknown(CartError::Unavailable(Part::Carts));
            Ok(outcome.await.unwrap_or_else(lost))
        };
        let outcome = patience::wait(deadline, Part::Loms, outcome);
        ctx.spawn(wrap_future(outcome).map(move |outcome, actor: &mut Self, ctx| {
            actor.end(waiting, outcome.unwrap_or_else(Outcome::Unknown), ctx);
        }));
    }

    /// Answers a request with the outcome of the checkout that it waited for, or begins its own.
    fn end(&mut self, waiting: Waiting, outcome: Outcome, ctx: &mut Context<Self>) {
        let Waiting { keyed, asker, token, responder, is_behind } = waiting;
        let answer = match outcome {
            Outcome::Created(_) | Outcome::Refused(_) if is_behind => {
                return self.checkout(Checkout { keyed, asker, token }, responder, ctx);
            }
            Outcome::Created(order) => Ok(order),
            Outcome::Refused(error) | Outcome::Unknown(error) => Err(error),
        };
        let is_keyless = keyed.is_none() && asker == Asker::User;
        let (order, activity) = (answer.as_ref().ok().copied(), responder.activity());
        // The key must be free before the client sees the answer.
        drop(keyed);
        if let (true, true, Some(order)) = (responder.answer(answer), is_keyless, order) {
            self.reported(order, activity, ctx);
        }
    }

    fn settle(&mut self, id: Uuid, outcome: Outcome, span: Span, ctx: &mut Context<Self>) {
        let Some(Pursuit { intent, keys, has_keyless, waiting, activity }) =
            self.pursuits.remove(&id)
        else {
            return;
        };
        crash_point!("checkout::placed");
        let end = match &outcome {
            Outcome::Created(order) => {
                let answers = answers(*order, keys);
                End::Ordered { order: *order, is_unreported: has_keyless, answers }
            }
            Outcome::Refused(_) => End::Refused,
            Outcome::Unknown(CartError::BadGateway(_)) => {
                // The rest must be written before any answer, because the answer may cause a retry.
                let decide = move |current: &_| decide::rest(current, intent.id);
                return self.write(decide, span, ctx, move |_, _| {
                    answer_all(waiting, &outcome);
                    drop(activity);
                });
            }
            Outcome::Unknown(_) => return answer_all(waiting, &outcome),
        };
        let decide = move |current: &_| decide::settle(current, intent.id, &end);
        self.write(decide, span, ctx, move |user, result| {
            crash_point!("checkout::settled");
            // The outcome is final even if it could not be settled: the sweeper will settle it.
            if let Err(error) = result {
                warn!(%user, intent = %id, %error, "a checkout could not be settled, the sweeper will retry");
            }
            answer_all(waiting, &outcome);
            // No second actor of this user may start before this point.
            drop(activity);
        });
    }

    /// Records that a request without a key has received `order`.
    fn reported(&mut self, order: OrderId, activity: Activity, ctx: &mut Context<Self>) {
        crash_point!("checkout::reported");
        if self.known.as_ref().is_some_and(|known| known.unreported != Some(order)) {
            return;
        }
        let decide = move |current: &_| decide::reported(current, order);
        self.write(decide, Span::current(), ctx, move |user, result| {
            if let Err(error) = result {
                warn!(%user, %order, %error, "the next checkout may be answered with this order again");
            }
            crash_point!("checkout::noted");
            drop(activity);
        });
    }
}

impl Handler<Envelope<Checkout>> for CartActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Checkout>, ctx: &mut Self::Context) {
        let Some((checkout, responder)) = envelope.begin() else { return };
        self.checkout(checkout, responder, ctx);
    }
}

/// Returns the outcome, and the span that the settlement continues.
async fn pursuit(loms: Loms, user: UserId, intent: Intent) -> (Outcome, Span) {
    (place(loms, user, intent).await, Span::current())
}

fn answer_all(waiting: Vec<oneshot::Sender<Outcome>>, outcome: &Outcome) {
    for waiting in waiting {
        // This fails for commands whose deadline has passed: they no longer wait.
        let _ = waiting.send(outcome.clone());
    }
}

fn answers(order: OrderId, keys: BTreeSet<IdempotencyKey>) -> Vec<(IdempotencyKey, StoredAnswer)> {
    let answer = StoredAnswer { request: REQUEST.to_owned(), order: Some(order) };
    keys.into_iter().map(|key| (key, answer.clone())).collect()
}
