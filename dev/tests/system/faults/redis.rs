//! Redis holds product answers only: without it the shop is slower, nothing else.

use crate::support::{Kind, PrivateServers, Settings, Shop, new_user};

#[tokio::test]
async fn products_still_answer_without_redis() {
    let private = PrivateServers::prepare();
    let mut redis = private.redis().await.unwrap();
    let mut shop = Shop::start(&private.in_place_of(&[Kind::Redis]), Settings::default()).await;
    let (cart, user) = (shop.cart.client(), new_user());
    let (known, new) = (shop.loms.stock_product(10).await, shop.loms.stock_product(10).await);
    cart.add(user, known, 1).await.expect(200);
    redis.kill().unwrap();

    cart.add(user, known, 1).await.expect(200);
    cart.add(user, new, 1).await.expect(200);
    let shown = cart.show(user).await.expect(200).json();
    assert_eq!(shown["items"].as_array().unwrap().len(), 2);

    shop.cart.process.restart().await;
    assert_eq!(cart.lines(user).await, [(u64::from(known), 2), (u64::from(new), 1)]);
    let _redis = private.redis().await.unwrap();
    cart.add(user, new, 1).await.expect(200);
    cart.order(user).await;
}
