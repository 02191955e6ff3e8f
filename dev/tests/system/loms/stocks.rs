//! `StocksInfo` and the table behind it.

use crate::support::{SEEDS, Shop, new_user};

#[tokio::test]
async fn the_seeded_stock_can_be_asked_for_and_queried() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    for (sku, total, reserved) in SEEDS {
        let available = u64::try_from(total - reserved).unwrap();
        assert_eq!(loms.available(sku).await.unwrap(), available, "{sku}");
        assert_eq!(shop.loms.stock_row(sku).await, (total, reserved), "{sku}");
    }
}

#[tokio::test]
async fn stock_is_what_there_is_less_what_is_reserved() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let sku = shop.loms.stock(1 << 40).await;
    assert_eq!(loms.available(sku).await.unwrap(), 1 << 40);
    let order = loms.create(new_user(), &[(sku, 7)]).await.unwrap();
    assert_eq!(loms.available(sku).await.unwrap(), (1 << 40) - 7);
    loms.pay(order).await.unwrap();
    assert_eq!(loms.available(sku).await.unwrap(), (1 << 40) - 7);
    assert_eq!(shop.loms.client().available(shop.loms.stock(0).await).await.unwrap(), 0);
}
