//! `GET /user/{user_id}/cart`.

use dev::product_stand_in::product;
use serde_json::json;

use crate::support::{Shop, new_user};

#[tokio::test]
async fn a_cart_shows_names_prices_and_total_ordered_by_sku() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let mut skus = Vec::new();
    for _ in 0..3 {
        skus.push(shop.loms.stock_product(50).await);
    }
    for (sku, count) in [(skus[2], 4), (skus[0], 1), (skus[1], 20)] {
        cart.add(user, sku, count).await.expect(200);
    }
    let counts = [1, 20, 4];
    let items = skus.iter().zip(counts).map(|(sku, count)| {
        let product = product(*sku).unwrap();
        json!({"sku_id": sku, "name": product.name, "count": count, "price": product.price})
    });
    let total: u64 = skus
        .iter()
        .zip(counts)
        .map(|(sku, count)| u64::from(product(*sku).unwrap().price) * count)
        .sum();
    let expected = json!({"items": items.collect::<Vec<_>>(), "total_price": total});
    cart.show(user).await.expect_json(200, &expected);
}

#[tokio::test]
async fn an_empty_cart_is_not_found() {
    let shop = Shop::shared().await;
    let cart = shop.cart.client();
    for user in [new_user(), i64::MAX - 2] {
        cart.show(user).await.expect_cart_error(404, "NOT_FOUND");
    }
}
