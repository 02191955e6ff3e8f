//! Deleting a line, and deleting a whole cart.

use crate::support::{Shop, new_user};

#[tokio::test]
async fn removing_a_line_leaves_the_others() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let (first, second) = (shop.loms.stock_product(5).await, shop.loms.stock_product(5).await);
    cart.add(user, first, 2).await.expect(200);
    cart.add(user, second, 3).await.expect(200);
    let removed = cart.remove(user, first).await.expect(204);
    assert_eq!(removed.body, "");
    assert_eq!(cart.lines(user).await, [(u64::from(second), 3)]);
}

#[tokio::test]
async fn removing_what_is_not_there_succeeds_too() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let sku = shop.loms.stock_product(5).await;
    cart.remove(user, sku).await.expect(204);
    cart.remove(user, u32::MAX).await.expect(204);
    cart.clear(user).await.expect(204);
    cart.add(user, sku, 1).await.expect(200);
    cart.remove(user, sku).await.expect(204);
    cart.remove(user, sku).await.expect(204);
    cart.remove(i64::MAX - 1, 1).await.expect(204);
    cart.show(user).await.expect_cart_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn clearing_empties_one_user_s_cart_only() {
    let shop = Shop::shared().await;
    let (cart, user, neighbour) = (shop.cart.client(), new_user(), new_user());
    let sku = shop.loms.stock_product(5).await;
    cart.add(user, sku, 2).await.expect(200);
    cart.add(neighbour, sku, 1).await.expect(200);
    assert_eq!(cart.clear(user).await.expect(204).body, "");
    cart.show(user).await.expect_cart_error(404, "NOT_FOUND");
    assert_eq!(cart.lines(neighbour).await, [(u64::from(sku), 1)]);
    cart.add(user, sku, 1).await.expect(200);
    assert_eq!(cart.lines(user).await, [(u64::from(sku), 1)]);
}
