//! Invalid requests are answered with `INVALID_ARGUMENT`, which names the field, and unknown ids
//! with `NOT_FOUND`.

use tonic::Code;

use crate::support::proto::{Item, Order, OrderCreateRequest};
use crate::support::{Shop, field_at_fault, new_user};

const NOT_POSITIVE: [i64; 3] = [0, -1, i64::MIN];

/// Ids below the first order, ids of shards that do not exist, and ids of orders that do not exist.
const NO_ORDER: [i64; 9] =
    [1, 2, 999, 1002, 5999, 1_000_000_002, i64::MAX, 900_000_000_000, 900_000_000_001];

fn create(user: i64, items: &[(u32, u32)], key: &str) -> OrderCreateRequest {
    let items = items.iter().map(|&(sku, count)| Item { sku, count }).collect();
    OrderCreateRequest {
        order: Some(Order { user, items, ..Order::default() }),
        idempotency_key: key.to_owned(),
    }
}

#[tokio::test]
async fn a_create_that_breaks_a_rule_is_refused_naming_the_field_and_keeps_no_order() {
    let shop = Shop::shared().await;
    let (loms, user) = (shop.loms.client(), new_user());
    let sku = shop.loms.stock(10).await;
    let long_key = "k".repeat(129);
    let wrong = [
        ("order", OrderCreateRequest::default()),
        ("user", create(0, &[(sku, 1)], "")),
        ("user", create(-1, &[(sku, 1)], "")),
        ("user", create(i64::MIN, &[(sku, 1)], "")),
        ("items", create(user, &[], "")),
        ("sku", create(user, &[(0, 1)], "")),
        ("sku", create(user, &[(sku, 1), (0, 1)], "")),
        ("count", create(user, &[(sku, 0)], "")),
        ("count", create(user, &[(sku, 1), (sku, 0)], "")),
        ("items", create(user, &[(sku, u32::MAX), (sku, 1)], "")),
        ("items", create(user, &[(sku, 1 << 31), (7, 1), (sku, 1 << 31)], "")),
        ("key", create(user, &[(sku, 1)], &long_key)),
        ("key", create(user, &[(sku, 1)], "line\nbreak")),
    ];
    for (field, request) in wrong {
        let refusal = loms.send(request.clone()).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument, "{request:?}: {refusal}");
        let named = field_at_fault(&refusal);
        assert!(named.contains(field), "{request:?} names {named:?} instead of {field}");
        assert!(!refusal.message().is_empty(), "{request:?}");
    }
    assert_eq!(shop.loms.orders_of(user).await, []);
    assert_eq!(shop.loms.stock_row(sku).await, (10, 0));
}

#[tokio::test]
async fn an_order_id_that_is_not_positive_is_refused() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    for id in NOT_POSITIVE {
        let refusals = [
            loms.info(id).await.unwrap_err(),
            loms.pay(id).await.unwrap_err(),
            loms.cancel(id).await.unwrap_err(),
        ];
        for refusal in refusals {
            assert_eq!(refusal.code(), Code::InvalidArgument, "{id}: {refusal}");
            assert!(field_at_fault(&refusal).contains("order_id"), "{id}: {refusal:?}");
        }
    }
}

#[tokio::test]
async fn an_order_that_does_not_exist_is_not_found_whatever_shard_its_id_names() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    for id in NO_ORDER {
        let refusals = [
            loms.info(id).await.unwrap_err(),
            loms.pay(id).await.unwrap_err(),
            loms.cancel(id).await.unwrap_err(),
        ];
        for refusal in refusals {
            assert_eq!(refusal.code(), Code::NotFound, "{id}: {refusal}");
        }
    }
}

#[tokio::test]
async fn a_sku_of_0_is_refused_and_one_that_was_never_in_stock_is_not_found() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let refusal = loms.available(0).await.unwrap_err();
    assert_eq!((refusal.code(), field_at_fault(&refusal).as_str()), (Code::InvalidArgument, "sku"));
    for sku in [1, 2_000_000_000, u32::MAX - 1] {
        assert_eq!(loms.available(sku).await.unwrap_err().code(), Code::NotFound, "{sku}");
    }
}
