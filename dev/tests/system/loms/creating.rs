//! `OrderCreate` with valid requests.

use tonic::Code;
use tonic_types::StatusExt;

use crate::support::proto::{Order, OrderCreateRequest};
use crate::support::{Shop, items, new_user};

#[tokio::test]
async fn an_order_reserves_its_items_and_awaits_its_payment() {
    let shop = Shop::shared().await;
    let (loms, user) = (shop.loms.client(), new_user());
    let (first, second) = (shop.loms.stock(10).await, shop.loms.stock(20).await);
    let id = loms.create(user, &[(first, 3), (second, 20)]).await.unwrap();
    let expected = Order {
        id,
        user,
        status: "AWAITING_PAYMENT".to_owned(),
        items: items(&[(first, 3), (second, 20)]),
    };
    assert_eq!(loms.info(id).await.unwrap(), expected);
    assert_eq!(shop.loms.stock_row(first).await, (10, 3));
    assert_eq!(shop.loms.stock_row(second).await, (20, 20));
    assert_eq!(shop.loms.orders_of(user).await, [(id, "AWAITING_PAYMENT".to_owned())]);
}

#[tokio::test]
async fn status_and_id_that_a_client_sends_are_ignored() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let sku = shop.loms.stock(100).await;
    for (status, sent) in [("PAYED", 5), ("", -1), ("no such state", i64::MAX), ("CANCELLED", 1000)]
    {
        let (user, status) = (new_user(), status.to_owned());
        let order = Order { id: sent, status: status.clone(), user, items: items(&[(sku, 1)]) };
        let request = OrderCreateRequest { order: Some(order), ..OrderCreateRequest::default() };
        let id = loms
            .send(request)
            .await
            .unwrap_or_else(|refusal| panic!("status {status:?}: {refusal}"));
        assert_ne!(id, sent);
        assert_eq!(loms.state(id).await, "AWAITING_PAYMENT", "sent {status:?}");
    }
}

#[tokio::test]
async fn items_of_one_sku_are_summed() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let (sku, other) = (shop.loms.stock(10).await, shop.loms.stock(10).await);
    let id = loms.create(new_user(), &[(sku, 2), (other, 1), (sku, 3), (sku, 1)]).await.unwrap();
    assert_eq!(loms.info(id).await.unwrap().items, items(&[(sku, 6), (other, 1)]));
    assert_eq!(shop.loms.stock_row(sku).await, (10, 6));
    let refusal = loms.create(new_user(), &[(other, 5), (other, 5)]).await.unwrap_err();
    assert_eq!(
        refusal.code(),
        Code::FailedPrecondition,
        "the sum of both is more than what is left"
    );
}

#[tokio::test]
async fn an_order_that_the_stock_does_not_cover_is_kept_as_failed_and_reserves_nothing() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let (scarce, plenty) = (shop.loms.stock(2).await, shop.loms.stock(100).await);
    let unknown = shop.loms.stock(0).await + 1_000_000;
    let too_many = [
        vec![(scarce, 3)],
        vec![(plenty, 1), (scarce, 3)],
        vec![(unknown, 1)],
        vec![(plenty, 1), (unknown, 1)],
        vec![(plenty, u32::MAX)],
        vec![(u32::MAX - 1, 1)],
    ];
    for lines in too_many {
        let user = new_user();
        let refusal = loms.create(user, &lines).await.unwrap_err();
        assert_eq!(refusal.code(), Code::FailedPrecondition, "{lines:?}: {refusal}");
        let failure = refusal.get_details_precondition_failure().unwrap();
        let (short, wanted) = lines.last().unwrap();
        assert_eq!(failure.violations[0].subject, format!("sku/{short}"), "{lines:?}");
        assert!(refusal.message().contains(&format!("sku {short}")), "{refusal}");
        if *short == scarce {
            assert!(refusal.message().contains(&format!("{wanted} wanted, 2 left")), "{refusal}");
            let info = refusal.get_details_error_info().unwrap();
            assert_eq!((info.reason.as_str(), info.domain.as_str()), ("OUT_OF_STOCK", "loms"));
            assert_eq!(info.metadata[&format!("sku/{short}/wanted")], wanted.to_string());
            assert_eq!(info.metadata[&format!("sku/{short}/left")], "2");
        }
        let orders = shop.loms.orders_of(user).await;
        let [(id, state)] = orders.as_slice() else { panic!("{lines:?} left {orders:?}") };
        assert_eq!(state, "FAILED", "{lines:?}");
        let order = loms.info(*id).await.unwrap();
        let mut sorted = lines;
        sorted.sort_unstable();
        assert_eq!(
            (order.status.as_str(), order.user, order.items),
            ("FAILED", user, items(&sorted))
        );
    }
    assert_eq!(shop.loms.stock_row(scarce).await, (2, 0));
    assert_eq!(shop.loms.stock_row(plenty).await, (100, 0));
}

#[tokio::test]
async fn the_largest_user_may_order_and_the_last_piece_can_be_sold() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let sku = shop.loms.stock(i64::from(u32::MAX)).await;
    let id = loms.create(i64::MAX - 100, &[(sku, u32::MAX)]).await.unwrap();
    assert_eq!(loms.info(id).await.unwrap().user, i64::MAX - 100);
    assert_eq!(loms.available(sku).await.unwrap(), 0);
}
