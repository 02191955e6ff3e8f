//! Sweeps that compete with clients for few places.

use std::time::Duration;

use dev::testing::{eventually, http_client};
use futures::future::join_all;

use crate::gate::Gate;
use crate::invariants;
use crate::shop::Backend;
use crate::timeouts::{NOT_SWEEPING, SWEEPING, all_are_done, create, end_time};

const SOON: Duration = Duration::from_secs(20);

/// A sweep may take a quarter of the places. With six of eight left, six clients are served while
/// it waits for the database.
#[actix::test]
async fn a_sweep_that_is_stuck_leaves_most_of_the_room_to_clients() {
    let backend = Backend::new().await;
    let (opener, shop) = (
        backend.open(&NOT_SWEEPING).await,
        backend.open(&[SWEEPING[0], ("ACTOR_CAPACITY", "8")]).await,
    );
    backend.add_stock(1, 100).await;
    let orders = create(&opener, 40).await;
    let cancelling = Gate::before("CANCELLED", &backend.pools[1]).await;
    end_time(&backend, &orders).await;
    cancelling.is_reached().await;
    let served = join_all((0..6).map(|n| shop.orders.info(orders[n]))).await;
    assert!(served.iter().all(Result::is_ok), "{served:?}");
    cancelling.open().await;

    all_are_done(&backend).await;
    eventually(SOON, "all items are back", async || shop.left(1).await == 100).await;
    invariants::hold(&backend).await;
    for shop in [opener, shop] {
        shop.close().await;
    }
}

/// With room for one cancellation at a time, a pass cancels twenty orders and goes on to the next
/// step. The others wait for the next passes, which follow at once: four intervals would be far too
/// long.
#[actix::test]
async fn a_step_that_has_much_to_do_lets_the_others_go_first_and_goes_on_at_once() {
    let backend = Backend::new().await;
    let opener = backend.open(&NOT_SWEEPING).await;
    backend.add_stock(1, 100).await;
    let orders = create(&opener, 90).await;
    end_time(&backend, &orders).await;
    backend.leave_reservation(700_001, 1, None, 1, 5).await;
    let narrow = [
        ("SWEEP_INTERVAL", "10s"),
        ("ACTOR_CAPACITY", "4"),
        ("RESERVATION_GRACE", "2ms"),
        ("REQUEST_TIMEOUT", "1ms"),
    ];
    let shop = backend.open(&narrow).await;
    all_are_done(&backend).await;
    eventually(SOON, "the orphan is given back", async || opener.left(1).await == 100).await;
    let turns = "SELECT max(occurred_at) FILTER (WHERE state = 'FAILED') < max(occurred_at) FILTER (WHERE state = 'CANCELLED')
        FROM order_history";
    let taken: bool = sqlx::query_scalar(turns).fetch_one(&backend.pools[1]).await.unwrap();
    assert!(taken, "the orphan had to wait for the last of the orders");
    invariants::hold(&backend).await;
    for shop in [opener, shop] {
        shop.close().await;
    }
}

#[actix::test]
async fn what_a_sweep_finds_no_room_for_is_told_once_and_left_to_a_later_one() {
    let backend = Backend::new().await;
    let opener = backend.open(&NOT_SWEEPING).await;
    backend.add_stock(1, 100).await;
    let orders = create(&opener, 80).await;
    let mut loms = backend.launch(&[("SWEEP_INTERVAL", "50ms"), ("ACTOR_CAPACITY", "40")]).await;
    let paying = Gate::before("PAYED", &backend.pools[1]).await;
    let (client, base) = (http_client(), loms.base_url());
    let pay = |order: i64| {
        let request = client.post(format!("{base}/v1/orders/{order}/pay"));
        actix::spawn(async move { request.send().await.unwrap().status() })
    };
    // Twice as many payments as there are places, so half of them are refused.
    let payments: Vec<_> =
        orders[..40].iter().chain(&orders[..40]).map(|order| pay(order.get())).collect();
    let refused = || payments.iter().filter(|payment| payment.is_finished()).count();
    eventually(SOON, "there is no room left", async || refused() == 40).await;
    end_time(&backend, &orders[40..]).await;
    let told = || loms.log().lines().filter(|line| line.contains("unpaid order")).count();
    eventually(SOON, "the sweep finds no room", async || told() > 0).await;
    paying.open().await;
    join_all(payments).await;
    end_time(&backend, &orders).await;
    all_are_done(&backend).await;

    let log = loms.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("unpaid order")).collect();
    assert!(
        told[0].contains("too many requests are waiting") && told[0].contains("orders=10"),
        "{told:#?}"
    );
    assert!(told.iter().all(|line| line.contains("orders=")), "{told:#?}");
    invariants::hold(&backend).await;
    assert!(loms.terminate().await.success());
    opener.close().await;
}
