//! Removing and re-adding pieces during a checkout: none is lost and none is duplicated.

use std::collections::BTreeMap;

use futures::future::join;
use serde_json::json;
use tonic::Code;

use crate::support::{Client, Fate, Reply, SOON, Shop, eventually};

/// Checks out at `client`, and runs `meanwhile` while loms handles the order.
async fn checkout_during(
    shop: &Shop,
    client: &Client,
    user: i64,
    meanwhile: impl AsyncFnOnce(),
) -> Reply {
    let asked = shop.loms.keys_asked().len();
    shop.loms.hold(true);
    let meanwhile = async {
        eventually(SOON, "loms is asked", async || shop.loms.keys_asked().len() > asked).await;
        meanwhile().await;
        shop.loms.hold(false);
    };
    join(client.checkout(user), meanwhile).await.0
}

#[actix_web::test]
async fn what_is_added_after_a_removal_during_a_checkout_stays_in_the_cart() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2), (1004, 1)]).await;
    let ordered = checkout_during(&shop, &client, 1, async || {
        assert_eq!(client.remove(1, 1003).await.status, 204);
        assert_eq!(client.lines(1).await, [(1004, 1)]);
        client.fill(1, &[(1003, 3)]).await;
    });
    assert_eq!(ordered.await.body, json!({"orderID": 1000}));
    assert_eq!(shop.loms.orders()[0].items, [(1003, 2), (1004, 1)]);
    assert_eq!(client.lines(1).await, [(1003, 3)]);
    cart.stop().await;
}

#[actix_web::test]
async fn what_is_added_after_the_cart_was_cleared_during_a_checkout_stays_in_the_cart() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2), (1004, 1)]).await;
    let ordered = checkout_during(&shop, &client, 1, async || {
        assert_eq!(client.clear(1).await.status, 204);
        client.fill(1, &[(1004, 5), (1005, 1)]).await;
    });
    assert_eq!(ordered.await.status, 200);
    assert_eq!(client.lines(1).await, [(1004, 5), (1005, 1)]);
    cart.stop().await;
}

#[actix_web::test]
async fn what_is_removed_during_a_checkout_without_stock_is_removed() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2), (1004, 1)]).await;
    shop.loms.next([Fate::Refused(Code::FailedPrecondition)]);
    let refused = checkout_during(&shop, &client, 1, async || {
        assert_eq!(client.remove(1, 1003).await.status, 204);
    });
    assert_eq!(refused.await.status, 412);
    assert_eq!(client.lines(1).await, [(1004, 1)]);
    cart.stop().await;
}

#[actix_web::test]
async fn what_another_instance_removes_and_adds_during_a_checkout_stays_in_the_cart() {
    let shop = Shop::open().await;
    let (one, two) = join(shop.start(), shop.start()).await;
    let (first, second) = (Client::of(&one), Client::of(&two));
    first.fill(1, &[(1003, 2), (1004, 2)]).await;
    let ordered = checkout_during(&shop, &first, 1, async || {
        assert_eq!(second.remove(1, 1003).await.status, 204);
        second.fill(1, &[(1003, 3), (1004, 1)]).await;
    });
    assert_eq!(ordered.await.status, 200);
    for client in [&first, &second] {
        assert_eq!(client.lines(1).await, [(1003, 3), (1004, 1)]);
    }
    one.stop().await;
    two.stop().await;
}

#[actix_web::test]
async fn what_is_added_after_a_removal_stays_when_the_sweeper_settles_later() {
    let mut shop = Shop::open().await;
    shop.set("CHECKOUT_GRACE", "1ms").set("SWEEP_INTERVAL", "50ms");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2), (1004, 1)]).await;
    shop.loms.refuse_user(1, Some(Code::Unavailable));
    assert_eq!(client.checkout(1).await.status, 503);
    assert_eq!(client.clear(1).await.status, 204);
    client.fill(1, &[(1003, 3)]).await;
    shop.loms.refuse_user(1, None);
    shop.execute("update checkout_intents set next_attempt_at = now()").await;
    eventually(SOON, "the checkout is settled", async || {
        shop.count("select count(*) from checkout_intents").await == 0
    })
    .await;
    assert_eq!(shop.loms.orders()[0].items, [(1003, 2), (1004, 1)]);
    assert_eq!(client.lines(1).await, [(1003, 3)]);
    cart.stop().await;
}

#[actix_web::test]
async fn a_checkout_that_the_previous_version_left_open_is_settled() {
    let mut shop = Shop::open().await;
    shop.set("CHECKOUT_GRACE", "1ms").set("SWEEP_INTERVAL", "50ms");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 5)]).await;
    // Only the columns that the previous version uses.
    let open = "insert into checkout_intents (id, user_id, skus, counts)
                select gen_random_uuid(), user_id, skus, array[2] from carts";
    shop.execute(open).await;
    eventually(SOON, "the ordered pieces left", async || client.lines(1).await == [(1003, 3)])
        .await;
    assert_eq!(shop.loms.orders()[0].items, [(1003, 2)]);
    cart.stop().await;
}

/// What a user added, and where each piece is now: `free` and `ordering` pieces are in the cart.
#[derive(Default)]
struct Pieces {
    added: u64,
    removed: u64,
    free: BTreeMap<u64, u64>,
    ordering: BTreeMap<u64, u64>,
    /// Removed while they were being ordered. They count as removed unless the order is created.
    withdrawn: u64,
}

impl Pieces {
    fn remove(&mut self, sku: u64) {
        self.removed += self.free.remove(&sku).unwrap_or(0);
        self.withdrawn += self.ordering.remove(&sku).unwrap_or(0);
    }

    fn lines(&self) -> Vec<(u64, u64)> {
        let mut lines = self.free.clone();
        for (sku, count) in &self.ordering {
            *lines.entry(*sku).or_default() += count;
        }
        lines.into_iter().collect()
    }

    fn settle(&mut self, ordered: bool) {
        let (ordering, withdrawn) =
            (std::mem::take(&mut self.ordering), std::mem::take(&mut self.withdrawn));
        if !ordered {
            self.removed += withdrawn;
            for (sku, count) in ordering {
                *self.free.entry(sku).or_default() += count;
            }
        }
    }
}

/// Pseudo-random numbers that depend only on the seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[actix_web::test]
async fn every_piece_is_in_the_cart_or_in_one_order_or_removed() {
    const SKUS: [u32; 3] = [1002, 1003, 1004];
    let shop = Shop::open().await;
    let (one, two) = join(shop.start(), shop.start()).await;
    let clients = [Client::of(&one), Client::of(&two)];
    for seed in 1..=8 {
        let user = i64::try_from(seed).unwrap();
        let (mut dice, mut pieces, mut open) = (Dice(seed), Pieces::default(), None);
        for step in 0..40 {
            let client = &clients[usize::try_from(dice.below(2)).unwrap()];
            let sku = SKUS[usize::try_from(dice.below(3)).unwrap()];
            match dice.below(8) {
                0..3 => {
                    let count = 1 + dice.below(3);
                    client.fill(user, &[(sku, u32::try_from(count).unwrap())]).await;
                    pieces.added += count;
                    *pieces.free.entry(sku.into()).or_default() += count;
                }
                3..5 => {
                    assert_eq!(client.remove(user, sku).await.status, 204);
                    pieces.remove(sku.into());
                }
                5 => {
                    assert_eq!(client.clear(user).await.status, 204);
                    for sku in SKUS {
                        pieces.remove(sku.into());
                    }
                }
                _ => match open.take() {
                    None if pieces.lines().is_empty() => {}
                    None => {
                        let in_stock = dice.below(3) > 0;
                        if !in_stock {
                            shop.loms.next([Fate::Refused(Code::FailedPrecondition)]);
                        }
                        shop.loms.hold(true);
                        let asked = shop.loms.keys_asked().len();
                        let own = client.clone();
                        let checkout =
                            actix_web::rt::spawn(async move { own.checkout(user).await });
                        eventually(SOON, "loms is asked", async || {
                            shop.loms.keys_asked().len() > asked
                        })
                        .await;
                        pieces.ordering = std::mem::take(&mut pieces.free);
                        open = Some((checkout, in_stock));
                    }
                    Some((checkout, in_stock)) => {
                        shop.loms.hold(false);
                        let reply = checkout.await.unwrap();
                        assert_eq!(reply.status, if in_stock { 200 } else { 412 }, "{reply:?}");
                        pieces.settle(in_stock);
                    }
                },
            }
            assert_eq!(client.lines(user).await, pieces.lines(), "seed {seed}, step {step}");
        }
        shop.loms.hold(false);
        if let Some((checkout, in_stock)) = open {
            checkout.await.unwrap();
            pieces.settle(in_stock);
        }
        let orders = shop.loms.orders();
        let items = orders.iter().filter(|order| order.user == user).flat_map(|order| &order.items);
        let ordered: u64 = items.map(|(_, count)| u64::from(*count)).sum();
        let held: u64 = clients[0].lines(user).await.iter().map(|(_, count)| count).sum();
        assert_eq!(pieces.added, ordered + pieces.removed + held, "seed {seed}");
    }
    one.stop().await;
    two.stop().await;
}
