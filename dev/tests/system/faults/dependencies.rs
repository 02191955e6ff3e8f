//! cart without loms: what needs loms is refused politely, what does not goes on.

use crate::support::{Answer, SOON, Servers, Settings, Shop, eventually, new_user, set};

#[track_caller]
fn assert_failed_dependency(answer: &Answer) {
    assert!([502, 503, 504].contains(&answer.status), "{answer:?}");
    assert!(
        answer.status != 503 || answer.header("retry-after").is_some(),
        "{answer:?} names no time"
    );
    let error = answer.json();
    assert!(error["code"].is_string() && error["message"].is_string(), "{error}");
    for secret in ["tonic", "127.0.0.1", "transport", "os error", "tcp connect"] {
        assert!(!answer.body.to_lowercase().contains(secret), "{answer:?} tells {secret}");
    }
}

#[tokio::test]
async fn without_loms_a_cart_can_be_read_and_emptied_and_ordered_once_it_is_back() {
    let sweeping = vec![set("CHECKOUT_GRACE", "1s"), set("SWEEP_INTERVAL", "200ms")];
    let settings = Settings { cart: sweeping, ..Settings::default() };
    let mut shop = Shop::start(&Servers::from_env(), settings).await;
    let (cart, user, other) = (shop.cart.client(), new_user(), new_user());
    let sku = shop.loms.stock_product(10).await;
    cart.add(user, sku, 2).await.expect(200);
    cart.add(other, sku, 1).await.expect(200);
    shop.loms.process.kill9();

    assert_failed_dependency(&cart.add(user, sku, 1).await);
    assert_failed_dependency(&cart.checkout(user).await);
    assert_eq!(cart.lines(user).await, [(u64::from(sku), 2)]);
    let open = async || shop.cart.samples().await.sum("checkouts_open", &[]);
    eventually(SOON, "the checkout is shown as open", async || open().await >= 1.0).await;
    cart.clear(other).await.expect(204);
    assert_eq!(cart.lines(other).await, []);

    shop.loms.process.restart().await;
    let answer = eventually(SOON, "the checkout succeeds or was finished", async || {
        let answer = cart.checkout(user).await;
        if [200, 404].contains(&answer.status) { Ok(answer) } else { Err(answer) }
    })
    .await;
    let orders = shop.loms.orders_of(user).await;
    assert_eq!(orders.len(), 1, "{orders:?}");
    if answer.status == 200 {
        assert_eq!(answer.json()["orderID"], orders[0].0);
    }
    eventually(SOON, "the cart is empty", async || cart.lines(user).await.is_empty()).await;
    assert_eq!(shop.loms.stock_row(sku).await, (10, 2));
    let open = async || shop.cart.samples().await.sum("checkouts_open", &[]);
    eventually(SOON, "no checkout is shown as open", async || open().await < 1.0).await;
}
