//! The states that an order may pass through, and the effect of each change on the stock.

use tonic::{Code, Status};

use crate::support::{LomsClient, Shop, new_user};

const OK: Code = Code::Ok;
const FORBIDDEN: Code = Code::FailedPrecondition;

/// The state, the call, its answer, and the state afterwards. Then the total and reserved stock,
/// from 10 pieces of which 4 are ordered.
type Row = (&'static str, &'static str, Code, &'static str, (i64, i64));

const TABLE: [Row; 8] = [
    ("AWAITING_PAYMENT", "pay", OK, "PAYED", (6, 0)),
    ("AWAITING_PAYMENT", "cancel", OK, "CANCELLED", (10, 0)),
    ("PAYED", "pay", OK, "PAYED", (6, 0)),
    ("PAYED", "cancel", FORBIDDEN, "PAYED", (6, 0)),
    ("CANCELLED", "pay", FORBIDDEN, "CANCELLED", (10, 0)),
    ("CANCELLED", "cancel", OK, "CANCELLED", (10, 0)),
    ("FAILED", "pay", FORBIDDEN, "FAILED", (10, 0)),
    ("FAILED", "cancel", FORBIDDEN, "FAILED", (10, 0)),
];

#[tokio::test]
async fn every_state_answers_pay_and_cancel_as_the_table_says() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    for (state, call, answer, after, stock) in TABLE {
        let row = format!("{call} of an order {state}");
        let (sku, user) = (shop.loms.stock(10).await, new_user());
        let order = match state {
            "FAILED" => {
                loms.create(user, &[(sku, 11)]).await.unwrap_err();
                shop.loms.orders_of(user).await[0].0
            }
            _ => loms.create(user, &[(sku, 4)]).await.unwrap(),
        };
        match state {
            "PAYED" => loms.pay(order).await.unwrap(),
            "CANCELLED" => loms.cancel(order).await.unwrap(),
            _ => {}
        }
        assert_eq!(loms.state(order).await, state, "before {row}");
        let outcome = ask(&loms, call, order).await;
        assert_eq!(
            outcome.as_ref().map_or_else(Status::code, |()| OK),
            answer,
            "{row}: {outcome:?}"
        );
        assert_eq!(loms.state(order).await, after, "after {row}");
        shop.loms.stock_becomes(sku, stock).await;
        let available = u64::try_from(stock.0 - stock.1).unwrap();
        assert_eq!(loms.available(sku).await.unwrap(), available, "after {row}");
    }
}

#[tokio::test]
async fn what_a_cancelled_order_gave_back_can_be_sold_again() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let sku = shop.loms.stock(3).await;
    let first = loms.create(new_user(), &[(sku, 3)]).await.unwrap();
    assert_eq!(loms.create(new_user(), &[(sku, 1)]).await.unwrap_err().code(), FORBIDDEN);
    loms.cancel(first).await.unwrap();
    shop.loms.stock_becomes(sku, (3, 0)).await;
    let second = loms.create(new_user(), &[(sku, 3)]).await.unwrap();
    loms.pay(second).await.unwrap();
    shop.loms.stock_becomes(sku, (0, 0)).await;
    assert_eq!(loms.create(new_user(), &[(sku, 1)]).await.unwrap_err().code(), FORBIDDEN);
}

#[tokio::test]
async fn of_concurrent_pays_and_cancels_one_kind_wins_and_the_stock_moves_once() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    for _ in 0..5 {
        let sku = shop.loms.stock(10).await;
        let order = loms.create(new_user(), &[(sku, 4)]).await.unwrap();
        let calls =
            (0..20).map(|index| ask(&loms, if index % 2 == 0 { "pay" } else { "cancel" }, order));
        let outcomes = futures::future::join_all(calls).await;
        let state = loms.state(order).await;
        let (winner, stock) = match state.as_str() {
            "PAYED" => (0, (6, 0)),
            "CANCELLED" => (1, (10, 0)),
            other => panic!("order {order} is {other}"),
        };
        for (index, outcome) in outcomes.into_iter().enumerate() {
            let code = outcome.map_or_else(|refusal| refusal.code(), |()| OK);
            assert_eq!(
                code,
                if index % 2 == winner { OK } else { FORBIDDEN },
                "call {index} of order {state}"
            );
        }
        shop.loms.stock_becomes(sku, stock).await;
    }
}

async fn ask(loms: &LomsClient, call: &str, order: i64) -> Result<(), Status> {
    match call {
        "pay" => loms.pay(order).await,
        _ => loms.cancel(order).await,
    }
}
