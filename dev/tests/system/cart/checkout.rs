//! `POST /cart/checkout`.

use serde_json::json;

use crate::support::{Shop, items, new_user};

#[tokio::test]
async fn a_checkout_orders_exactly_what_the_cart_holds_and_empties_it() {
    let shop = Shop::shared().await;
    let (cart, loms, user) = (shop.cart.client(), shop.loms.client(), new_user());
    let (first, second) = (shop.loms.stock_product(10).await, shop.loms.stock_product(10).await);
    cart.add(user, second, 3).await.expect(200);
    cart.add(user, first, 2).await.expect(200);

    let answer = cart.checkout(user).await.expect(200).json();
    let id = answer["orderID"].as_i64().unwrap();
    assert_eq!(answer, json!({"orderID": id}));

    let order = loms.info(id).await.unwrap();
    assert_eq!((order.id, order.user, order.status.as_str()), (id, user, "AWAITING_PAYMENT"));
    assert_eq!(order.items, items(&[(first, 2), (second, 3)]));
    cart.show(user).await.expect_cart_error(404, "NOT_FOUND");
    assert_eq!(shop.loms.stock_row(first).await, (10, 2));
}

#[tokio::test]
async fn an_empty_cart_cannot_be_checked_out() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    cart.checkout(user).await.expect_cart_error(404, "NOT_FOUND");
    let sku = shop.loms.stock_product(5).await;
    cart.add(user, sku, 1).await.expect(200);
    cart.order(user).await;
    cart.checkout(user).await.expect_cart_error(404, "NOT_FOUND");
    cart.checkout(i64::MAX - 3).await.expect_cart_error(404, "NOT_FOUND");
    assert_eq!(shop.loms.orders_of(user).await.len(), 1);
}

#[tokio::test]
async fn a_checkout_that_the_stock_no_longer_covers_leaves_the_cart_as_it_is() {
    let shop = Shop::shared().await;
    let (cart, loms, user) = (shop.cart.client(), shop.loms.client(), new_user());
    let (scarce, plenty) = (shop.loms.stock_product(5).await, shop.loms.stock_product(5).await);
    cart.add(user, scarce, 5).await.expect(200);
    cart.add(user, plenty, 1).await.expect(200);
    let other_order = loms.create(new_user(), &[(scarce, 1)]).await.unwrap();

    let refused = cart.checkout(user).await;
    assert!(refused.body.contains(&format!("sku {scarce}: 5 wanted, 4 left")), "{refused:?}");
    let short = json!([{"sku_id": scarce, "wanted": 5, "available": 4}]);
    assert_eq!(refused.json()["details"], short, "{refused:?}");
    refused.expect_cart_error(412, "FAILED_PRECONDITION");
    assert_eq!(cart.lines(user).await, [(u64::from(scarce), 5), (u64::from(plenty), 1)]);
    assert_eq!(shop.loms.stock_row(plenty).await, (5, 0));
    assert!(shop.loms.orders_of(user).await.iter().all(|(_, state)| state == "FAILED"));

    loms.cancel(other_order).await.unwrap();
    shop.loms.stock_becomes(scarce, (5, 0)).await;
    let order = cart.order(user).await;
    assert_eq!(loms.state(order).await, "AWAITING_PAYMENT");
    assert_eq!(cart.lines(user).await, []);
}

#[tokio::test]
async fn what_is_added_after_a_checkout_makes_another_order() {
    let shop = Shop::shared().await;
    let (cart, loms, user) = (shop.cart.client(), shop.loms.client(), new_user());
    let sku = shop.loms.stock_product(10).await;
    cart.add(user, sku, 2).await.expect(200);
    let first = cart.order(user).await;
    cart.add(user, sku, 1).await.expect(200);
    let second = cart.order(user).await;
    assert_ne!(first, second);
    assert_eq!(loms.info(second).await.unwrap().items, items(&[(sku, 1)]));
    assert_eq!(shop.loms.stock_row(sku).await, (10, 3));
}
