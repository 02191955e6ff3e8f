//! Many orders that reach their payment deadline at once, while clients are active and at several
//! instances.

use std::time::Duration;

use dev::testing::eventually;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use loms::domain::{Failure, OrderError, OrderId, OrderStatus};
use sqlx::AssertSqlSafe;

use crate::events::{Events, stories, story};
use crate::invariants;
use crate::shop::{Backend, Shop, order};

const SOON: Duration = Duration::from_secs(20);
pub const SWEEPING: [(&str, &str); 1] = [("SWEEP_INTERVAL", "20ms")];
pub const NOT_SWEEPING: [(&str, &str); 1] = [("SWEEP_INTERVAL", "1h")];

/// Creates orders for one piece of SKU 1 each, by a user of shard 1.
pub async fn create(shop: &Shop, count: usize) -> Vec<OrderId> {
    let created = join_all((0..count).map(|_| shop.orders.create(order(1, &[(1, 1)])))).await;
    created.into_iter().map(Result::unwrap).collect()
}

/// Makes the payment deadline of these orders of shard 1 pass, in one transaction.
pub async fn end_time(backend: &Backend, orders: &[OrderId]) {
    let orders: Vec<i64> = orders.iter().map(|order| order.get()).collect();
    let query = sqlx::query("UPDATE orders SET pay_before = now() WHERE id = ANY($1)").bind(orders);
    query.execute(&backend.pools[1]).await.unwrap();
}

/// Waits until no order of shard 1 awaits payment.
pub async fn all_are_done(backend: &Backend) {
    let query = "SELECT count(*) FROM orders WHERE state = 'AWAITING_PAYMENT'";
    eventually(SOON, "no order awaits its payment", async || {
        sqlx::query_scalar::<_, i64>(query).fetch_one(&backend.pools[1]).await.unwrap() == 0
    })
    .await;
}

#[actix::test]
async fn a_thousand_orders_that_are_due_at_once_are_cancelled_in_a_few_batches() {
    let backend = Backend::new().await;
    let shop = backend.open(&SWEEPING).await;
    backend.add_stock(1, 1_200).await;
    let (events, consumer) = Events::read(&backend);
    let orders = create(&shop, 1_000).await;
    let kept = shop.orders.create(order(1, &[(1, 100)])).await;
    end_time(&backend, &orders).await;
    eventually(SOON, "all items are back", async || shop.left(1).await == 1_100).await;
    let effects = async || {
        let effects = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM stock_effects");
        effects.fetch_one(&backend.pools[1]).await.unwrap() == 0
    };
    eventually(SOON, "the effects are forgotten", effects).await;

    let batches =
        "SELECT count(*) FROM order_history WHERE state = 'CANCELLED' GROUP BY occurred_at";
    let batches: Vec<i64> = sqlx::query_scalar(batches).fetch_all(&backend.pools[1]).await.unwrap();
    assert_eq!(batches.iter().sum::<i64>(), 1_000);
    assert!(batches.iter().all(|batch| *batch <= 256) && batches.len() <= 8, "{batches:?}");
    let kept = kept.unwrap();
    let mut told = stories(&events.when(3_002).await);
    assert_eq!(told.remove(&kept.get()), Some(story(&["NEW", "AWAITING_PAYMENT"])));
    let cancelled = story(&["NEW", "AWAITING_PAYMENT", "CANCELLED"]);
    assert!(told.len() == 1_000 && told.values().all(|story| *story == cancelled));
    invariants::hold(&backend).await;
    consumer.drain().await;
    shop.close().await;
}

/// One client's attempt to pay or cancel an order. Repeats a cancellation whose items are not back
/// yet.
async fn attempt(
    shop: &Shop,
    order: OrderId,
    to: OrderStatus,
) -> (OrderId, OrderStatus, Result<(), OrderError>) {
    let told = eventually(SOON, "the shop tells what became of an order", async || {
        let told = match to {
            OrderStatus::Payed => shop.orders.pay(order).await,
            _ => shop.orders.cancel(order).await,
        };
        (!matches!(told, Err(OrderError::Failed(Failure::Unavailable { .. })))).then_some(told)
    });
    (order, to, told.await)
}

/// Sixty orders reach their payment deadline while clients pay and cancel them, at two instances
/// that both sweep. Each order takes one of these ways, and every client learns which. Rounds
/// repeat until payments and the timeout have each won some orders of one round.
#[actix::test]
async fn of_a_payment_a_cancellation_and_the_timeout_one_wins_and_everybody_is_told_which() {
    let backend = Backend::new().await;
    let shops = [backend.open(&SWEEPING).await, backend.open(&SWEEPING).await];
    backend.add_stock(1, 10_000).await;
    let (mut rounds, mut paid, mut raced) = (0, 0, false);
    while !raced {
        rounds += 1;
        assert!(rounds <= 30, "no race in {rounds} rounds");
        let orders = create(&shops[0], 60).await;
        let tries = orders.iter().enumerate().flat_map(|(n, order)| {
            let other = if n % 3 == 0 { OrderStatus::Cancelled } else { OrderStatus::Payed };
            [(0, OrderStatus::Payed), (1, other)]
                .map(|(shop, to)| attempt(&shops[shop], *order, to))
        });
        let tries = stream::iter(tries).buffer_unordered(1 + rounds).collect::<Vec<_>>();
        let ((), told) = futures::join!(end_time(&backend, &orders), tries);
        all_are_done(&backend).await;

        let (mut payments, mut timeouts) = (0, 0);
        for order in &orders {
            let mut told = told.iter().filter(|(id, ..)| id == order);
            let state = shops[0].orders.info(*order).await.unwrap().status;
            let cancelled =
                told.clone().any(|(_, to, told)| *to == OrderStatus::Cancelled && told.is_ok());
            payments += u64::from(state == OrderStatus::Payed);
            timeouts += u64::from(state == OrderStatus::Cancelled && !cancelled);
            assert!(
                told.all(|(_, to, told)| *told == truth(*order, state, *to)),
                "{order} is {state}: {told:?}"
            );
        }
        paid += payments;
        raced = payments > 0 && timeouts > 0;
    }
    eventually(SOON, "what was not paid is back", async || shops[1].left(1).await == 10_000 - paid)
        .await;
    invariants::hold(&backend).await;
    for shop in shops {
        shop.close().await;
    }
}

/// The answer that a client must get if it wanted `to` for an order that became `state`.
fn truth(order: OrderId, state: OrderStatus, to: OrderStatus) -> Result<(), OrderError> {
    if state == to { Ok(()) } else { Err(OrderError::Forbidden { order, from: state, to }) }
}

/// The database's clock is a day ahead of the process's: an unqualified `now()` is the test's own
/// function.
#[actix::test]
async fn what_is_due_is_told_by_the_clock_of_the_database() {
    let backend = Backend::new().await;
    let today = backend.open(&[NOT_SWEEPING[0], ("ORDER_PAYMENT_TTL", "12h")]).await;
    let due = today.orders.create(order(1, &[(1002, 5)])).await.unwrap();
    let ttl = "SELECT pay_before - created_at = interval '12 hours' FROM orders";
    assert!(sqlx::query_scalar::<_, bool>(ttl).fetch_one(&backend.pools[1]).await.unwrap());
    let name = &backend.databases[1].name;
    for statement in [
        "CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE
         AS $$ SELECT pg_catalog.now() + interval '1 day' $$"
            .to_owned(),
        format!("ALTER DATABASE {name} SET search_path = public, pg_catalog"),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&backend.pools[1]).await.unwrap();
    }
    let tomorrow = backend.open(&[SWEEPING[0], ("ORDER_PAYMENT_TTL", "12h")]).await;
    let state = async || today.orders.info(due).await.unwrap().status;
    eventually(SOON, "the order is cancelled", async || state().await == OrderStatus::Cancelled)
        .await;
    let kept = tomorrow.orders.create(order(1, &[(1002, 7)])).await.unwrap();
    eventually(SOON, "the items are back", async || tomorrow.left(1002).await == 173).await;
    assert_eq!(tomorrow.orders.info(kept).await.unwrap().status, OrderStatus::AwaitingPayment);
    invariants::hold(&backend).await;
    for shop in [today, tomorrow] {
        shop.close().await;
    }
}

#[actix::test]
async fn a_payment_that_comes_too_late_is_refused_even_if_no_sweeper_has_come_by() {
    let backend = Backend::new().await;
    let shop = backend.open(&NOT_SWEEPING).await;
    let late = shop.orders.create(order(1, &[(1002, 5)])).await.unwrap();
    let kept = shop.orders.create(order(1, &[(1002, 7)])).await.unwrap();
    end_time(&backend, &[late]).await;
    let refused =
        OrderError::Forbidden { order: late, from: OrderStatus::Cancelled, to: OrderStatus::Payed };
    assert_eq!(shop.orders.pay(late).await, Err(refused.clone()));
    assert_eq!(shop.orders.info(late).await.unwrap().status, OrderStatus::Cancelled);
    assert_eq!(shop.left(1002).await, 173);
    assert_eq!(shop.orders.pay(late).await, Err(refused));
    shop.orders.pay(kept).await.unwrap();
    invariants::hold(&backend).await;
    shop.close().await;
}

/// The due orders are ten passes of a sweeper. With a pause after each, it would not be done in
/// time.
#[actix::test]
async fn orders_that_are_due_are_cancelled_without_a_pause_until_none_is_left() {
    const DUE: i64 = 3_000;
    let backend = Backend::new().await;
    backend.open(&NOT_SWEEPING).await.close().await;
    backend.add_stock(1, DUE).await;
    for (pool, statement) in [
        (0, "UPDATE stock SET reserved_count = $1 WHERE sku = 1"),
        (
            0,
            "INSERT INTO reservations (order_id, user_id, skus, counts)
             SELECT nth * 1000 + 1, 1, '{1}', '{1}' FROM generate_series(1, $1) AS nth",
        ),
        (
            1,
            "INSERT INTO orders (id, state, user_id, skus, counts, sequence, pay_before)
             SELECT nth * 1000 + 1, 'AWAITING_PAYMENT', 1, '{1}', '{1}', 2, now() FROM generate_series(1, $1) AS nth",
        ),
        (
            1,
            "INSERT INTO order_history (order_id, sequence, state)
             SELECT nth * 1000 + 1, sequence, state FROM generate_series(1, $1) AS nth,
                 LATERAL (VALUES (1, 'NEW'), (2, 'AWAITING_PAYMENT')) AS change (sequence, state)",
        ),
        (1, "SELECT setval('order_id_seq', $1 * 1000 + 1)"),
    ] {
        sqlx::query(statement).bind(DUE).execute(&backend.pools[pool]).await.unwrap();
    }
    let narrow = [("SWEEP_INTERVAL", "5s"), ("ACTOR_CAPACITY", "64")];
    let shop = backend.open(&narrow).await;
    all_are_done(&backend).await;
    eventually(SOON, "all pieces are back", async || shop.left(1).await == DUE.unsigned_abs())
        .await;
    invariants::hold(&backend).await;
    shop.close().await;
}
