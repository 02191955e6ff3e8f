//! Decides what a command does to a user's row, from the stored row alone.
//!
//! A removal during a checkout takes its lines out of the cart at once and for good. It does not
//! cancel the order in progress. If the order is created, the pieces were ordered before the
//! removal. If it is refused, they are removed.
//!
//! Either way, the settlement must not take pieces that were added after the removal.
//! `Intent::leaving` therefore never exceeds what the cart has held continuously since the checkout
//! began.

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
    /// loms must be asked for this intent, or is already being asked.
    Intent(Intent),
}

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
    let mut change = Change::of(cart).answering(request);
    if let Some(open) = open {
        let leaving = open.leaving.within(&change.cart);
        if leaving != open.leaving {
            let intent = Intent { leaving, ..open.clone() };
            change.intent = IntentChange::Update { intent, rest: None };
        }
    }
    Ok((Some(change), ()))
}

/// Decides how a checkout that `asker` wants begins or continues. `pursued` returns whether this
/// process is already asking loms for the order of an intent.
///
/// # Errors
/// `EmptyCart` if there is nothing to order, or nothing that the sweeper may ask for. `BadGateway`
/// while an open checkout rests; `KeyReused`.
pub fn begin(
    current: &Loaded,
    request: Option<&KeyedRequest>,
    asker: Asker,
    pursued: impl Fn(Uuid) -> bool,
) -> Result<(Option<Change>, Begun), CartError> {
    if let (Some(request), Some(answer)) = (request, &current.answer) {
        let order = answer.replay(request)?.ok_or(CartError::KeyReused)?;
        return Ok((None, Begun::Answered(order)));
    }
    let mut change = Change::of(current.stored.cart.clone());
    match (&current.stored.intent, asker) {
        (Some(open), _) if pursued(open.id) => Ok((None, Begun::Intent(open.clone()))),
        (Some(open), _) if open.may_be_asked_by(asker) => {
            let (intent, rest) = open.asked_again();
            change.intent = IntentChange::Update { intent: intent.clone(), rest: Some(rest) };
            Ok((Some(change), Begun::Intent(intent)))
        }
        (Some(_), Asker::User) => Err(CartError::BadGateway(Part::Loms)),
        (None, Asker::User) if !current.stored.cart.is_empty() => {
            let key = request.map(|request| request.key.clone());
            let intent = Intent::new(&current.stored.cart, key);
            change.intent = IntentChange::Open(intent.clone());
            Ok((Some(change), Begun::Intent(intent)))
        }
        (None, Asker::User) | (_, Asker::Sweeper) => Err(CartError::EmptyCart),
    }
}

/// Decides what the end of checkout `intent` writes; `ordered` says whether its pieces were
/// ordered. If the intent no longer exists, another instance has settled it, and only the answers
/// must be stored.
pub fn settle(
    current: &Loaded,
    intent: Uuid,
    ordered: bool,
    answers: &[(IdempotencyKey, StoredAnswer)],
) -> Option<Change> {
    let cart = &current.stored.cart;
    let open = current.stored.intent.as_ref().filter(|open| open.id == intent);
    let (cart, change) = match open {
        Some(open) if ordered => (cart.minus(&open.leaving), IntentChange::Close),
        Some(_) => (cart.clone(), IntentChange::Close),
        None if answers.is_empty() => return None,
        None => (cart.clone(), IntentChange::Keep),
    };
    Some(Change { cart, intent: change, answers: answers.to_vec() })
}

/// Decides what an unusable answer to checkout `intent` writes.
pub fn rest(current: &Loaded, intent: Uuid) -> Option<Change> {
    let open = current.stored.intent.as_ref().filter(|open| open.id == intent)?;
    let (intent, rest) = open.answered_unusably();
    let mut change = Change::of(current.stored.cart.clone());
    change.intent = IntentChange::Update { intent, rest: Some(rest) };
    Some(change)
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
        Loaded { stored: StoredCart { version: 1, cart: cart(lines), intent }, answer: None }
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

    /// The lines after the open checkout of `current` is settled.
    fn settled(current: &Loaded, ordered: bool) -> Cart {
        let intent = current.stored.intent.as_ref().unwrap().id;
        let settled = after(current, settle(current, intent, ordered, &[]));
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
        let (change, begun) = begin(&full, None, Asker::User, |_| false).unwrap();
        let Begun::Intent(intent) = begun else { panic!("{begun:?}") };
        assert_eq!((&intent.ordered, &intent.leaving), (&cart(&[(1, 2)]), &cart(&[(1, 2)])));
        let change = change.unwrap();
        assert_eq!((change.cart, change.intent), (cart(&[(1, 2)]), IntentChange::Open(intent)));
        assert_eq!(begin(&row(&[], None), None, Asker::User, |_| false), Err(CartError::EmptyCart));
        assert_eq!(begin(&full, None, Asker::Sweeper, |_| false), Err(CartError::EmptyCart));
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
            assert_eq!(begin(&current, Some(&request), Asker::User, |_| false), expected);
        }
    }

    #[test]
    fn an_open_checkout_is_joined_where_it_is_being_pursued() {
        let intent = Intent { is_due: false, unusable_answers: 3, ..open(&[(1, 2)]) };
        let current = row(&[(1, 2)], Some(intent.clone()));
        for asker in [Asker::User, Asker::Sweeper] {
            let joined = begin(&current, None, asker, |id| id == intent.id);
            assert_eq!(joined, Ok((None, Begun::Intent(intent.clone()))));
        }
    }

    #[test]
    fn an_open_checkout_that_nobody_here_pursues_is_claimed_before_it_is_asked_for() {
        let intent = open(&[(1, 2)]);
        for asker in [Asker::User, Asker::Sweeper] {
            let current = row(&[(1, 2)], Some(intent.clone()));
            let (change, begun) = begin(&current, None, asker, |_| false).unwrap();
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
        let refused = begin(&current, None, Asker::User, |_| false);
        assert_eq!(refused, Err(CartError::BadGateway(Part::Loms)));
        assert_eq!(begin(&current, None, Asker::Sweeper, |_| false), Err(CartError::EmptyCart));
    }

    #[test]
    fn a_checkout_that_another_instance_settled_is_settled_no_second_time() {
        let current = row(&[(1, 2)], None);
        assert_eq!(settle(&current, Uuid::now_v7(), true, &[]), None);
        let answers = [(request("k", "").key, answer("checkout", Some(1000)))];
        let change = settle(&current, Uuid::now_v7(), true, &answers).unwrap();
        assert_eq!((change.cart, change.intent), (cart(&[(1, 2)]), IntentChange::Keep));
        assert_eq!(change.answers, answers);
        let other = row(&[(1, 2)], Some(open(&[(1, 2)])));
        assert_eq!(
            settle(&other, Uuid::now_v7(), true, &[]),
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
