//! notifier prints one readable line per event.

use crate::support::{Shop, new_user, new_user_on};

#[tokio::test]
async fn every_event_of_an_order_is_one_line_of_the_log() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let sku = shop.loms.stock(10).await;
    for shard in [0, 1] {
        let order = loms.create(new_user_on(shard), &[(sku, 1)]).await.unwrap();
        loms.pay(order).await.unwrap();
        shop.notifier.tells(order, "PAYED").await;
        for state in ["NEW", "AWAITING_PAYMENT", "PAYED"] {
            let lines = shop.notifier.lines(order, state);
            assert_eq!(lines.len(), 1, "order {order} {state}: {lines:#?}");
        }
    }
}

#[tokio::test]
async fn a_purchase_becomes_a_notification() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let sku = shop.loms.stock_product(10).await;
    cart.add(user, sku, 2).await.expect(200);
    let order = cart.order(user).await;
    shop.loms
        .gateway()
        .post(&format!("/v1/orders/{order}/pay"), serde_json::json!({}))
        .await
        .expect(200);
    shop.notifier.tells(order, "PAYED").await;
}
