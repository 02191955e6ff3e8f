//! Races between the sweeper and the processes whose leftovers it removes, and between sweepers.

use std::time::Duration;

use dev::testing::eventually;
use futures::future::join_all;
use loms::domain::{Failure, NewOrder, OrderError, OrderId, OrderStatus};
use sqlx::PgPool;
use tokio::task::JoinHandle;

use crate::gate::Gate;
use crate::invariants;
use crate::shop::{Backend, Shop, id, keyed, order};

const SOON: Duration = Duration::from_secs(20);
const SWEEPING: [(&str, &str); 3] =
    [("REQUEST_TIMEOUT", "50ms"), ("RESERVATION_GRACE", "100ms"), ("SWEEP_INTERVAL", "20ms")];
const NOT_SWEEPING: [(&str, &str); 1] = [("SWEEP_INTERVAL", "1h")];

fn create(shop: &Shop, wanted: Vec<NewOrder>) -> JoinHandle<Vec<Result<OrderId, OrderError>>> {
    let orders = shop.orders.clone();
    actix::spawn(
        async move { join_all(wanted.into_iter().map(|order| orders.create(order))).await },
    )
}

#[actix::test]
async fn an_order_that_comes_after_its_tombstone_is_lost_and_its_client_is_told() {
    let backend = Backend::new().await;
    let (client, sweeper) = (backend.open(&NOT_SWEEPING).await, backend.open(&SWEEPING).await);
    let insert = Gate::before("AWAITING_PAYMENT", &backend.pools[1]).await;
    let slow = create(&client, vec![keyed("k", 1, &[(1002, 10)]), order(1, &[(1002, 5)])]);
    insert.is_reached().await;
    eventually(SOON, "the items are given back", async || sweeper.left(1002).await == 180).await;
    insert.open().await;

    let answers = slow.await.unwrap();
    for answer in &answers {
        assert!(
            matches!(answer, Err(OrderError::Failed(Failure::Unavailable { .. }))),
            "{answer:?}"
        );
    }
    for order in [id(1001), id(2001)] {
        for shop in [&client, &sweeper] {
            assert_eq!(shop.orders.info(order).await.unwrap().status, OrderStatus::Failed);
            assert!(matches!(shop.orders.pay(order).await, Err(OrderError::Forbidden { .. })));
        }
    }
    // The key has no order, so it does not block a retry.
    let retry = sweeper.orders.create(keyed("k", 1, &[(1002, 10)])).await.unwrap();
    assert_eq!(client.orders.create(keyed("k", 1, &[(1002, 10)])).await, Ok(retry));
    assert_eq!(sweeper.left(1002).await, 170);
    invariants::hold(&backend).await;
    for shop in [client, sweeper] {
        shop.close().await;
    }
}

#[actix::test]
async fn an_order_that_comes_between_the_look_and_the_tombstone_lives() {
    let backend = Backend::new().await;
    let (client, sweeper) = (backend.open(&NOT_SWEEPING).await, backend.open(&SWEEPING).await);
    let insert = Gate::before("AWAITING_PAYMENT", &backend.pools[1]).await;
    let tombstone = Gate::before("FAILED", &backend.pools[1]).await;
    let slow = create(&client, vec![keyed("k", 1, &[(1002, 10)]), order(1, &[(1002, 5)])]);
    insert.is_reached().await;
    tombstone.is_reached().await;
    insert.open().await;
    let orders: Vec<OrderId> = slow.await.unwrap().into_iter().map(Result::unwrap).collect();
    // By the time this younger orphan is returned, the sweeper has decided about the other two.
    backend.leave_reservation(700_001, 1, None, 1002, 30).await;
    tombstone.open().await;
    eventually(SOON, "the orphan is given back", async || sweeper.left(1002).await == 165).await;

    for order in &orders {
        assert_eq!(sweeper.orders.info(*order).await.unwrap().status, OrderStatus::AwaitingPayment);
    }
    sweeper.orders.pay(orders[0]).await.unwrap();
    assert_eq!(client.orders.create(keyed("k", 1, &[(1002, 10)])).await, Ok(orders[0]));
    client.orders.cancel(orders[1]).await.unwrap();
    assert_eq!(sweeper.left(1002).await, 170);
    invariants::hold(&backend).await;
    for shop in [client, sweeper] {
        shop.close().await;
    }
}

/// The `Access-Control-Allow-Origin` header in the answer to a preflight request for a create, if
/// any.
async fn leave_orphans(pool: &PgPool, shard: i64, count: i64) {
    let statement = "WITH orphans AS (
            INSERT INTO reservations (order_id, user_id, idempotency_key, skus, counts)
            SELECT 700000 + 1000 * n + $1, 1 + n % 7, CASE WHEN n % 2 = 0 THEN 'orphan ' || n || ' ' || $1 END,
                ARRAY[1], ARRAY[2]
            FROM generate_series(1, $2) AS n
        ) UPDATE stock SET reserved_count = reserved_count + 2 * $2 WHERE sku = 1";
    sqlx::query(statement).bind(shard).bind(count).execute(pool).await.unwrap();
}

/// Creates the state after an instance died between a change and its effect on the stock. Every
/// other order is paid.
async fn leave_effects(pool: &PgPool) {
    let statement = "WITH changed AS (
            UPDATE orders SET sequence = 3, state = CASE id / 1000 % 2 WHEN 0 THEN 'PAYED' ELSE 'CANCELLED' END
            WHERE state = 'AWAITING_PAYMENT' RETURNING id, state
        ), history AS (
            INSERT INTO order_history (order_id, sequence, state) SELECT id, 3, state FROM changed
        ) INSERT INTO stock_effects (order_id, kind, created_at)
        SELECT id, CASE state WHEN 'PAYED' THEN 'TAKE' ELSE 'RETURN' END, now() - interval '1 minute' FROM changed";
    sqlx::query(statement).execute(pool).await.unwrap();
}

async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

#[actix::test]
async fn several_sweepers_put_hundreds_of_leftovers_right_once_each() {
    let backend = Backend::new().await;
    let mut shops = vec![backend.open(&NOT_SWEEPING).await];
    backend.add_stock(1, 5_000).await;
    let created =
        join_all((1..=400).map(|user| shops[0].orders.create(order(user, &[(1, 3)])))).await;
    assert!(created.iter().all(Result::is_ok), "{created:?}");
    for _ in 0..3 {
        shops.push(backend.open(&SWEEPING).await);
    }
    futures::join!(
        leave_orphans(&backend.pools[0], 0, 300),
        leave_orphans(&backend.pools[0], 1, 300),
        leave_effects(&backend.pools[0]),
        leave_effects(&backend.pools[1]),
    );
    let held = "SELECT count(*) FROM reservations WHERE order_id > 0";
    let late = "SELECT count(*) FROM stock_effects";
    eventually(SOON, "nothing is left over", async || {
        let effects = (count(&backend.pools[0], late).await, count(&backend.pools[1], late).await);
        (count(&backend.pools[0], held).await, effects) == (0, (0, 0))
    })
    .await;
    let (mut failed, mut paid) = (0, 0);
    for pool in &backend.pools {
        failed += count(pool, "SELECT count(*) FROM orders WHERE state = 'FAILED'").await;
        paid += count(pool, "SELECT count(*) FROM orders WHERE state = 'PAYED'").await;
    }
    assert_eq!(failed, 600);
    assert_eq!(i64::try_from(shops[0].left(1).await).unwrap(), 5_000 - 3 * paid);
    invariants::hold(&backend).await;
    assert_eq!(shops[1].orders.info(id(701_001)).await.unwrap().status, OrderStatus::Failed);
    for shop in shops {
        shop.close().await;
    }
}

/// Creates reservations for 12 orders of 1,000 lines each, all at once. Records how many lines each
/// transaction ends.
const LEAVE_LARGE_RESERVATIONS: &str = "
INSERT INTO stock (sku, total_count, reserved_count) SELECT sku, 100, 12 FROM generate_series(5001, 6000) AS sku;
INSERT INTO stock_seed (sku, total_count) SELECT sku, 100 FROM generate_series(5001, 6000) AS sku;
CREATE TABLE ended (lines bigint);
CREATE FUNCTION record_ended() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO ended SELECT sum(cardinality(skus)) FROM gone;
    RETURN NULL;
END $$;
CREATE TRIGGER record_ended AFTER DELETE ON reservations
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION record_ended();
INSERT INTO reservations (order_id, user_id, skus, counts)
    SELECT number * 1000 + 1, 1, array_agg(sku), array_agg(1)
    FROM generate_series(701, 712) AS number, generate_series(5001, 6000) AS sku GROUP BY number;
";

#[actix::test]
async fn many_large_orders_are_given_back_in_several_transactions() {
    let backend = Backend::new().await;
    let shop = backend.open(&SWEEPING).await;
    sqlx::raw_sql(LEAVE_LARGE_RESERVATIONS).execute(&backend.pools[0]).await.unwrap();
    let all_free = async || shop.left(5001).await == 100 && shop.left(6000).await == 100;
    eventually(SOON, "all is given back", all_free).await;
    let query = "SELECT lines FROM ended WHERE lines > 0";
    let ended: Vec<i64> = sqlx::query_scalar(query).fetch_all(&backend.pools[0]).await.unwrap();
    assert_eq!(ended, [4000, 4000, 4000]);
    invariants::hold(&backend).await;
    shop.close().await;
}
