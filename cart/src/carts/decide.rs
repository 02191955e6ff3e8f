//! Decides what a command does to a user's row, from the stored row alone.
//!
//! A removal during a checkout takes its lines out of the cart at once and for good. It does not
//! cancel the order in progress. If the order is created, the pieces were ordered before the
//! removal. If it is refused, they are removed.
//!
//! Either way, the settlement must not take pieces that were added after the removal.
//! `Intent::leaving` therefore never exceeds what the cart has held continuously since the checkout
//! began.
//!
//! A checkout that finds another one open is either a repetition of it, or comes later: then the cart
//! holds more than the open checkout takes out of it. A later one waits until the open one is settled,
//! and orders what is left. It never gets an order that lacks pieces added before it.

use std::collections::HashMap;

use uuid::Uuid;

use super::state::{Change, IntentChange, Loaded};
use crate::checkout::{Asker, Intent};
use crate::domain::{Cart, CartError, OrderId, Part};
use crate::idempotency::{IdempotencyKey, KeyedRequest, StoredAnswer};

/// How a checkout continues.
#[derive(Debug, PartialEq, Eq)]
pub enum Begun {
    /// The answer is stored under the request's key.
    Answered(OrderId),
    /// The cart is empty, and the client of this order may not have received it.
    Unreported(OrderId),
    /// loms must be asked for this intent, or is already being asked. Its order is the answer.
    Intent(Intent),
    /// The same, but the intent is an earlier checkout's. The request starts again after that checkout is settled.
    Behind(Intent),
}

/// The checkouts that this process is asking loms for, by intent id. The value says whether the
/// request's key has already joined the checkout.
pub type Pursued = HashMap<Uuid, bool>;

/// Decides what a change of the lines writes.
///
/// # Errors
/// Those of `apply`; `KeyReused`, `KeyInFlight`.
pub fn change(
    current: &Loaded,
    request: Option<&KeyedRequest>,
    apply: impl Fn(&Cart) -> Result<Cart, CartError>,
) -> Result<(Option<Change>, ()), CartError> {
    if let (Some(request), Some(answer)) = (request, &current.answer) {
        answer.replay(request)?;
        return Ok((None, ()));
    }
    let open = current.stored.intent.as_ref();
    // The key came first with the open checkout, whose answer will be stored under it. Until then
    // the key is in flight, even if nobody is asking loms at the moment.
    let key = open.and_then(|intent| intent.key.as_ref());
    if key.is_some() && key == request.map(|request| &request.key) {
        return Err(CartError::KeyInFlight);
    }
    let cart = apply(&current.stored.cart)?;
    if cart == current.stored.cart {
        return Ok((None, ()));
    }
    let mut change = Change { cart, ..Change::none(&current.stored) }.answering(request);
    if let Some(open) = open {
        let leaving = open.leaving.within(&change.cart);
        if leaving != open.leaving {
            let intent = Intent { leaving, ..open.clone() };
            change.intent = IntentChange::Update { intent, rest: None };
        }
    }
    Ok((Some(change), ()))
}

/// Decides how a checkout that `asker` wants begins or continues.
///
/// # Errors
/// `EmptyCart` if there is nothing to order, or nothing that the sweeper may ask for. `BadGateway`
/// while an open checkout rests; `KeyReused`.
pub fn begin(
    current: &Loaded,
    request: Option<&KeyedRequest>,
    asker: Asker,
    pursued: &Pursued,
) -> Result<(Option<Change>, Begun), CartError> {
    if let (Some(request), Some(answer)) = (request, &current.answer) {
        let order = answer.replay(request)?.ok_or(CartError::KeyReused)?;
        return Ok((None, Begun::Answered(order)));
    }
    let key = request.map(|request| &request.key);
    let mut change = Change::none(&current.stored);
    match (&current.stored.intent, asker) {
        (Some(open), _) if pursued.contains_key(&open.id) => {
            let begun =
                continued(open.clone(), &current.stored.cart, asker, key, pursued[&open.id]);
            Ok((None, begun))
        }
        (Some(open), _) if open.may_be_asked_by(asker) => {
            let (intent, rest) = open.asked_again();
            change.intent = IntentChange::Update { intent: intent.clone(), rest: Some(rest) };
            Ok((Some(change), continued(intent, &current.stored.cart, asker, key, false)))
        }
        (Some(_), Asker::User) => Err(CartError::BadGateway(Part::Loms)),
        (None, Asker::User) if !current.stored.cart.is_empty() => {
            let intent = Intent::new(&current.stored.cart, key.cloned());
            change.intent = IntentChange::Open(intent.clone());
            Ok((Some(change), Begun::Intent(intent)))
        }
        (None, Asker::User) => {
            let order = current.stored.unreported.ok_or(CartError::EmptyCart)?;
            // With a key, the order is stored as its answer. Without one, the row keeps the order
            // until the answer has been sent.
            let stored = request.map(|request| {
                let answer = StoredAnswer { request: request.request.clone(), order: Some(order) };
                change.answers.push((request.key.clone(), answer));
                change.unreported = None;
                change
            });
            Ok((stored, Begun::Unreported(order)))
        }
        (_, Asker::Sweeper) => Err(CartError::EmptyCart),
    }
}

/// Whether a checkout with `key` that finds `open` repeats it or comes later. `has_joined` says that
/// the key was told to wait for it before.
fn continued(
    open: Intent,
    cart: &Cart,
    asker: Asker,
    key: Option<&IdempotencyKey>,
    has_joined: bool,
) -> Begun {
    let repeats = has_joined || (key.is_some() && open.key.as_ref() == key);
    if asker == Asker::Sweeper || repeats || cart.minus(&open.leaving).is_empty() {
        Begun::Intent(open)
    } else {
        Begun::Behind(open)
    }
}

/// How a checkout ended.
#[derive(Debug)]
pub enum End {
    /// The pieces were ordered.
    Ordered {
        /// The order.
        order: OrderId,
        /// Whether a request may get no answer. The order then stays in [`StoredCart::unreported`].
        is_unreported: bool,
        /// What to store under the keys of the requests.
        answers: Vec<(IdempotencyKey, StoredAnswer)>,
    },
    /// There is no order.
    Refused,
}

/// Decides what the end of checkout `intent` writes. If the intent no longer exists, another instance
/// has settled it, and only the answers must be stored.
pub fn settle(current: &Loaded, intent: Uuid, end: &End) -> Option<Change> {
    let mut change = Change::none(&current.stored);
    let open = current.stored.intent.as_ref().filter(|open| open.id == intent);
    if open.is_some() {
        change.intent = IntentChange::Close;
    }
    if let End::Ordered { order, is_unreported, answers } = end {
        change.answers.clone_from(answers);
        if let Some(open) = open {
            change.cart = change.cart.minus(&open.leaving);
            // Another instance may have asked for it too, for requests that this one does not know.
            change.unreported = (*is_unreported || open.attempts > 0).then_some(*order);
        }
    }
    (open.is_some() || !change.answers.is_empty()).then_some(change)
}

/// Decides what to write when a request without a key has received `order`.
pub fn reported(current: &Loaded, order: OrderId) -> Option<Change> {
    let is_unreported = current.stored.unreported == Some(order);
    is_unreported.then(|| Change { unreported: None, ..Change::none(&current.stored) })
}

/// Decides what an unusable answer to checkout `intent` writes.
pub fn rest(current: &Loaded, intent: Uuid) -> Option<Change> {
    let open = current.stored.intent.as_ref().filter(|open| open.id == intent)?;
    let (intent, rest) = open.answered_unusably();
    let intent = IntentChange::Update { intent, rest: Some(rest) };
    Some(Change { intent, ..Change::none(&current.stored) })
}

#[cfg(test)]
mod tests {
    use super::super::state::StoredCart;
    use super::*;
    use crate::domain::{Line, Quantity, Sku};

    fn cart(lines: &[(u32, u16)]) -> Cart {
        let line = |(sku, count): &(u32, u16)| Line {
            sku: Sku::new(*sku).unwrap(),
            count: Quantity::new(*count).unwrap(),
        };
        lines.iter().map(line).collect()
    }

    fn row(lines: &[(u32, u16)], intent: Option<Intent>) -> Loaded {
        let stored = StoredCart { version: 1, cart: cart(lines), intent, unreported: None };
        Loaded { stored, answer: None }
    }

    fn open(lines: &[(u32, u16)]) -> Intent {
        Intent::new(&cart(lines), None)
    }

    fn request(key: &str, request: &str) -> KeyedRequest {
        let key = IdempotencyKey::parse(key.as_bytes()).unwrap();
        KeyedRequest { key, request: request.to_owned() }
    }

    fn answer(request: &str, order: Option<i64>) -> StoredAnswer {
        StoredAnswer { request: request.to_owned(), order: order.map(OrderId::new) }
    }

    /// The row after `apply`.
    fn changed(current: &Loaded, apply: impl Fn(&Cart) -> Cart) -> Loaded {
        let (change, ()) = change(current, None, |cart| Ok(apply(cart))).unwrap();
        after(current, change)
    }

    fn after(current: &Loaded, change: Option<Change>) -> Loaded {
        let stored = current.stored.clone();
        let stored = match change {
            Some(change) => stored.after(change),
            None => stored,
        };
        Loaded { stored, answer: None }
    }

    fn with(sku: u32, count: u16) -> impl Fn(&Cart) -> Cart {
        move |cart| cart.plus(Sku::new(sku).unwrap(), Quantity::new(count).unwrap(), 9999).unwrap()
    }

    fn without(sku: u32) -> impl Fn(&Cart) -> Cart {
        move |cart| cart.without(Sku::new(sku).unwrap())
    }

    fn ordered_as(order: i64, is_unreported: bool) -> End {
        End::Ordered { order: OrderId::new(order), is_unreported, answers: Vec::new() }
    }

    /// The lines after the open checkout of `current` is settled.
    fn settled(current: &Loaded, ordered: bool) -> Cart {
        let intent = current.stored.intent.as_ref().unwrap().id;
        let end = if ordered { ordered_as(1000, false) } else { End::Refused };
        let settled = after(current, settle(current, intent, &end));
        assert_eq!(settled.stored.intent, None);
        settled.stored.cart
    }

    #[test]
    fn what_is_added_during_a_checkout_stays() {
        let row = changed(&row(&[(1, 2)], Some(open(&[(1, 2)]))), with(1, 5));
        assert_eq!(settled(&row, true), cart(&[(1, 5)]));
        assert_eq!(settled(&row, false), cart(&[(1, 7)]));
    }

    #[test]
    fn what_is_removed_during_a_checkout_and_added_again_stays() {
        let removed = changed(&row(&[(1, 2), (2, 1)], Some(open(&[(1, 2), (2, 1)]))), without(1));
        assert_eq!(settled(&removed, true), Cart::default());
        assert_eq!(settled(&removed, false), cart(&[(2, 1)]));
        let again = changed(&removed, with(1, 3));
        assert_eq!(settled(&again, true), cart(&[(1, 3)]));
        assert_eq!(settled(&again, false), cart(&[(1, 3), (2, 1)]));
    }

    #[test]
    fn what_was_cleared_during_a_checkout_and_added_again_stays() {
        let cleared =
            changed(&row(&[(1, 2), (2, 1)], Some(open(&[(1, 2), (2, 1)]))), |_| Cart::default());
        let again = changed(&changed(&cleared, with(2, 4)), with(1, 1));
        assert_eq!(settled(&again, true), cart(&[(1, 1), (2, 4)]));
    }

    #[test]
    fn a_removal_does_not_change_what_is_ordered() {
        let removed = changed(&row(&[(1, 2)], Some(open(&[(1, 2)]))), without(1));
        let intent = removed.stored.intent.unwrap();
        assert_eq!((intent.ordered, intent.leaving), (cart(&[(1, 2)]), Cart::default()));
    }

    #[test]
    fn a_change_that_changes_nothing_writes_nothing() {
        assert_eq!(change(&row(&[(1, 2)], None), None, |cart| Ok(cart.clone())), Ok((None, ())));
    }

    #[test]
    fn a_repeated_change_is_answered_from_its_key() {
        let current = Loaded { answer: Some(answer("add", None)), ..row(&[(1, 2)], None) };
        let apply = |cart: &Cart| Ok(with(1, 1)(cart));
        assert_eq!(change(&current, Some(&request("k", "add")), apply), Ok((None, ())));
        assert_eq!(
            change(&current, Some(&request("k", "other")), apply),
            Err(CartError::KeyReused)
        );
    }

    #[test]
    fn the_key_of_an_open_checkout_is_in_flight() {
        let checkout = request("k", "checkout");
        let intent = Intent { key: Some(checkout.key), ..open(&[(1, 2)]) };
        let current = row(&[(1, 2)], Some(intent));
        let apply = |cart: &Cart| Ok(with(1, 1)(cart));
        assert_eq!(
            change(&current, Some(&request("k", "add")), apply),
            Err(CartError::KeyInFlight)
        );
        assert!(change(&current, Some(&request("other", "add")), apply).is_ok());
    }

    #[test]
    fn a_checkout_begins_when_there_is_something_to_order() {
        let full = row(&[(1, 2)], None);
        let (change, begun) = begin(&full, None, Asker::User, &Pursued::new()).unwrap();
        let Begun::Intent(intent) = begun else { panic!("{begun:?}") };
        assert_eq!((&intent.ordered, &intent.leaving), (&cart(&[(1, 2)]), &cart(&[(1, 2)])));
        let change = change.unwrap();
        assert_eq!((change.cart, change.intent), (cart(&[(1, 2)]), IntentChange::Open(intent)));
        assert_eq!(
            begin(&row(&[], None), None, Asker::User, &Pursued::new()),
            Err(CartError::EmptyCart)
        );
        assert_eq!(begin(&full, None, Asker::Sweeper, &Pursued::new()), Err(CartError::EmptyCart));
    }

    #[test]
    fn a_checkout_is_answered_from_its_key() {
        let request = request("k", "checkout");
        for (stored, expected) in [
            (answer("checkout", Some(1000)), Ok((None, Begun::Answered(OrderId::new(1000))))),
            (answer("other", Some(1000)), Err(CartError::KeyReused)),
            (answer("checkout", None), Err(CartError::KeyReused)),
        ] {
            let current = Loaded { answer: Some(stored), ..row(&[(1, 2)], None) };
            assert_eq!(begin(&current, Some(&request), Asker::User, &Pursued::new()), expected);
        }
    }

    #[test]
    fn an_open_checkout_is_joined_where_it_is_being_pursued() {
        let intent = Intent { is_due: false, unusable_answers: 3, ..open(&[(1, 2)]) };
        let current = row(&[(1, 2)], Some(intent.clone()));
        for asker in [Asker::User, Asker::Sweeper] {
            let joined = begin(&current, None, asker, &Pursued::from([(intent.id, false)]));
            assert_eq!(joined, Ok((None, Begun::Intent(intent.clone()))));
        }
    }

    #[test]
    fn an_open_checkout_that_nobody_here_pursues_is_claimed_before_it_is_asked_for() {
        let intent = open(&[(1, 2)]);
        for asker in [Asker::User, Asker::Sweeper] {
            let current = row(&[(1, 2)], Some(intent.clone()));
            let (change, begun) = begin(&current, None, asker, &Pursued::new()).unwrap();
            let once_more = Intent { attempts: 1, is_due: false, ..intent.clone() };
            assert_eq!(begun, Begun::Intent(once_more.clone()));
            let claimed = change.unwrap().intent;
            assert!(
                matches!(&claimed, IntentChange::Update { intent, rest: Some(_) } if *intent == once_more),
                "{claimed:?}"
            );
        }
    }

    #[test]
    fn an_open_checkout_that_rests_is_not_asked_for() {
        let resting = Intent { is_due: false, unusable_answers: 1, ..open(&[(1, 2)]) };
        let current = row(&[(1, 2)], Some(resting));
        let refused = begin(&current, None, Asker::User, &Pursued::new());
        assert_eq!(refused, Err(CartError::BadGateway(Part::Loms)));
        assert_eq!(
            begin(&current, None, Asker::Sweeper, &Pursued::new()),
            Err(CartError::EmptyCart)
        );
    }

    #[test]
    fn a_checkout_that_finds_more_in_the_cart_than_the_open_one_takes_comes_after_it() {
        let (open, key) = (open(&[(1, 2)]), request("k", "checkout").key);
        let keyed = Intent { key: Some(key), ..open.clone() };
        let other = Some("other");
        for (lines, intent, key, has_joined, is_behind) in [
            (&[(1, 2)][..], &open, None, false, false),
            (&[(1, 1)], &open, None, false, false),
            (&[], &open, None, false, false),
            (&[(1, 3)], &open, None, false, true),
            (&[(1, 2), (2, 1)], &open, None, false, true),
            (&[(1, 2), (2, 1)], &keyed, Some("k"), false, false),
            (&[(1, 2), (2, 1)], &keyed, other, false, true),
            (&[(1, 2), (2, 1)], &keyed, other, true, false),
        ] {
            let case = format!("{lines:?} {key:?} {has_joined}");
            let request = key.map(|key| request(key, "checkout"));
            let current = row(lines, Some(intent.clone()));
            let pursued = Pursued::from([(intent.id, has_joined)]);
            let begun = begin(&current, request.as_ref(), Asker::User, &pursued).unwrap().1;
            assert_eq!(matches!(begun, Begun::Behind(_)), is_behind, "{case}");
            let begun = begin(&current, request.as_ref(), Asker::User, &Pursued::new()).unwrap().1;
            assert_eq!(matches!(begun, Begun::Behind(_)), is_behind || has_joined, "{case}");
            let begun = begin(&current, None, Asker::Sweeper, &pursued).unwrap().1;
            assert!(matches!(begun, Begun::Intent(_)), "{case}");
        }
    }

    #[test]
    fn an_order_that_may_be_unreported_is_the_answer_when_nothing_is_left_to_order() {
        let order = OrderId::new(1000);
        let mut current = row(&[(1, 2)], Some(open(&[(1, 2)])));
        let intent = current.stored.intent.as_ref().unwrap().id;
        current = after(&current, settle(&current, intent, &ordered_as(1000, true)));
        let none = Pursued::new();
        let keyless = begin(&current, None, Asker::User, &none);
        assert_eq!(keyless, Ok((None, Begun::Unreported(order))));
        assert_eq!(begin(&current, None, Asker::Sweeper, &none), Err(CartError::EmptyCart));

        let request = request("k", "checkout");
        let (change, begun) = begin(&current, Some(&request), Asker::User, &none).unwrap();
        assert_eq!(begun, Begun::Unreported(order));
        let change = change.unwrap();
        assert_eq!(
            (change.unreported, &change.answers),
            (None, &vec![(request.key, answer("checkout", Some(1000)))])
        );

        let more = changed(&current, with(2, 1));
        assert!(matches!(begin(&more, None, Asker::User, &none).unwrap().1, Begun::Intent(_)));
        assert_eq!(more.stored.unreported, Some(order), "another change of the cart keeps it");

        assert_eq!(reported(&current, OrderId::new(2000)), None);
        let reported = after(&current, reported(&current, order));
        assert_eq!(begin(&reported, None, Asker::User, &none), Err(CartError::EmptyCart));
    }

    #[test]
    fn a_checkout_that_another_instance_settled_is_settled_no_second_time() {
        let current = row(&[(1, 2)], None);
        assert_eq!(settle(&current, Uuid::now_v7(), &ordered_as(1000, true)), None);
        assert_eq!(settle(&current, Uuid::now_v7(), &End::Refused), None);
        let answers = vec![(request("k", "").key, answer("checkout", Some(1000)))];
        let order = OrderId::new(1000);
        let end = End::Ordered { order, is_unreported: true, answers: answers.clone() };
        let change = settle(&current, Uuid::now_v7(), &end).unwrap();
        assert_eq!(change, Change { answers, ..Change::none(&current.stored) });
        let other = row(&[(1, 2)], Some(open(&[(1, 2)])));
        assert_eq!(
            settle(&other, Uuid::now_v7(), &ordered_as(1000, false)),
            None,
            "another checkout is open by now"
        );
    }

    #[test]
    fn an_unusable_answer_makes_the_checkout_rest() {
        let intent = open(&[(1, 2)]);
        let current = row(&[(1, 2)], Some(intent.clone()));
        let rested = after(&current, rest(&current, intent.id)).stored;
        assert_eq!(rested.cart, cart(&[(1, 2)]));
        assert_eq!(rested.intent, Some(Intent { unusable_answers: 1, is_due: false, ..intent }));
        assert_eq!(rest(&row(&[(1, 2)], None), Uuid::now_v7()), None);
    }
}
