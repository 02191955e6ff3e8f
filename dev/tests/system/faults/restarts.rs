//! A restart of any service, orderly or not, loses neither a filled cart nor an unpaid order.

use dev::testing::{ServiceProcess, Signal};

use crate::support::{Servers, Settings, Shop, new_user};

#[tokio::test]
async fn a_filled_cart_and_an_unpaid_order_survive_sigterm_of_every_service() {
    survive(Signal::SIGTERM).await;
}

#[tokio::test]
async fn a_filled_cart_and_an_unpaid_order_survive_sigkill_of_every_service() {
    survive(Signal::SIGKILL).await;
}

async fn survive(signal: Signal) {
    let mut shop = Shop::start(&Servers::from_env(), Settings::default()).await;
    let (shopper, buyer) = (new_user(), new_user());
    let (first, second) = (shop.loms.stock_product(10).await, shop.loms.stock_product(10).await);
    let cart = shop.cart.client();
    cart.add(shopper, first, 2).await.expect(200);
    cart.add(shopper, second, 1).await.expect(200);
    cart.add(buyer, first, 3).await.expect(200);
    let order = cart.order(buyer).await;
    let lines = [(u64::from(first), 2), (u64::from(second), 1)];

    for service in ["cart", "loms", "notifier"] {
        let process = match service {
            "cart" => &mut shop.cart.process,
            "loms" => &mut shop.loms.process,
            _ => &mut shop.notifier.process,
        };
        end(process, signal).await;
        process.restart().await;
        assert_eq!(cart.lines(shopper).await, lines, "after {signal} of {service}");
        assert_eq!(
            shop.loms.client().state(order).await,
            "AWAITING_PAYMENT",
            "after {signal} of {service}"
        );
    }
    shop.loms.client().pay(order).await.unwrap();
    shop.notifier.tells(order, "PAYED").await;
    cart.add(shopper, second, 1).await.expect(200);
    let order = cart.order(shopper).await;
    assert_eq!(shop.loms.client().state(order).await, "AWAITING_PAYMENT");
    assert_eq!(shop.loms.stock_row(first).await, (7, 2));
    assert_eq!(cart.lines(shopper).await, []);
    shop.notifier.tells(order, "AWAITING_PAYMENT").await;
}

async fn end(process: &mut ServiceProcess, signal: Signal) {
    if signal == Signal::SIGKILL {
        process.kill9();
    } else {
        assert_eq!(process.terminate().await.code(), Some(0));
    }
}
