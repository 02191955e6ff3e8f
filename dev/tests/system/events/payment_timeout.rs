//! An order that is not paid in time is cancelled.

use tonic::Code;

use crate::support::{Env, Event, Loms, SOON, Servers, eventually, new_user_on, set};

#[tokio::test]
async fn an_order_that_is_not_paid_in_time_is_cancelled_and_a_paid_one_is_not() {
    let ttl: Env = vec![set("ORDER_PAYMENT_TTL", "1s")];
    let shop = Loms::start(&Servers::from_env(), ttl).await;
    let loms = shop.client();
    let sku = shop.stock(10).await;
    let mut unpaid = Vec::new();
    let mut paid = Vec::new();
    for shard in [0, 1] {
        // On a busy machine a second may pass before the payment. Then it is too late, and another
        // order is tried.
        let in_time = eventually(SOON, "an order is paid in time", async || {
            let order = loms.create(new_user_on(shard), &[(sku, 1)]).await.unwrap();
            loms.pay(order).await.map(|()| order)
        });
        paid.push(in_time.await);
        unpaid.push(loms.create(new_user_on(shard), &[(sku, 2)]).await.unwrap());
    }
    for order in &unpaid {
        eventually(SOON, &format!("order {order} is cancelled"), async || {
            loms.state(*order).await == "CANCELLED"
        })
        .await;
        assert_eq!(loms.pay(*order).await.unwrap_err().code(), Code::FailedPrecondition);
        loms.cancel(*order).await.unwrap();
    }
    shop.stock_becomes(sku, (8, 0)).await;
    let mut events = shop.events();
    for (orders, last) in [(&unpaid, "CANCELLED"), (&paid, "PAYED")] {
        for order in orders {
            let states: Vec<String> =
                events.of_order(*order, 3).iter().map(|event| Event::step(event).1).collect();
            assert_eq!(states, ["NEW", "AWAITING_PAYMENT", last]);
            assert_eq!(loms.state(*order).await, last);
        }
    }
}
