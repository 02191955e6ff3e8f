//! Many calls at once for one cart.

use futures::future::join_all;

use crate::support::{Shop, new_user};

#[tokio::test]
async fn fifty_concurrent_adds_of_one_sku_add_up() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let sku = shop.loms.stock_product(1000).await;
    for answer in join_all((0..50).map(|_| cart.add(user, sku, 1))).await {
        answer.expect(200);
    }
    assert_eq!(cart.lines(user).await, [(u64::from(sku), 50)]);
}

#[tokio::test]
async fn concurrent_adds_never_exceed_what_a_line_may_hold() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let sku = shop.loms.stock_product(1_000_000).await;
    let answers = join_all((0..20).map(|_| cart.add(user, sku, 10_000))).await;
    let (added, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(added.len(), 6);
    for answer in refused {
        answer.expect_cart_error(400, "INVALID_ARGUMENT");
    }
    assert_eq!(cart.lines(user).await, [(u64::from(sku), 60_000)]);
}

#[tokio::test]
async fn concurrent_checkouts_of_one_cart_make_one_order() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let sku = shop.loms.stock_product(1000).await;
    cart.add(user, sku, 3).await.expect(200);
    let answers = join_all((0..20).map(|_| cart.checkout(user))).await;

    let orders = shop.loms.orders_of(user).await;
    assert_eq!(orders.len(), 1, "{orders:?}");
    let (ordered, empty): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert!(!ordered.is_empty());
    for answer in ordered {
        assert_eq!(answer.json()["orderID"], orders[0].0);
    }
    for answer in empty {
        answer.expect_cart_error(404, "NOT_FOUND");
    }
    assert_eq!(shop.loms.stock_row(sku).await, (1000, 3));
}

#[tokio::test]
async fn what_is_added_during_checkouts_is_ordered_once_or_stays_in_the_cart() {
    let shop = Shop::shared().await;
    let (cart, loms, user) = (shop.cart.client(), shop.loms.client(), new_user());
    let sku = shop.loms.stock_product(1000).await;
    let adds = join_all((0..30).map(|_| cart.add(user, sku, 1)));
    let checkouts = join_all((0..10).map(|_| cart.checkout(user)));
    let (added, _) = tokio::join!(adds, checkouts);
    for answer in added {
        answer.expect(200);
    }
    let mut pieces: u64 = cart.lines(user).await.iter().map(|(_, count)| count).sum();
    for (order, _) in shop.loms.orders_of(user).await {
        pieces += u64::from(loms.info(order).await.unwrap().items[0].count);
    }
    assert_eq!(pieces, 30, "orders: {:?}", shop.loms.orders_of(user).await);
}
