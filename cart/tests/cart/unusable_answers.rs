//! A loms whose answers are unusable. Cart does not repeat the call endlessly, since each call may
//! have created an order.

use futures::future::join;
use tonic::Code;

use crate::support::{Client, SOON, Shop, eventually};

#[actix_web::test]
async fn the_sweepers_of_all_instances_ask_once_each_time_that_a_checkout_is_due() {
    let mut shop = Shop::open().await;
    shop.set("CHECKOUT_GRACE", "3s").set("SWEEP_INTERVAL", "20ms");
    let (one, two) = join(shop.start(), shop.start()).await;
    let clients = [Client::of(&one), Client::of(&two)];
    shop.loms.refuse_user(1, Some(Code::Internal));
    clients[0].fill(1, &[(1003, 2)]).await;
    assert_eq!(clients[0].checkout(1).await.status, 502);
    assert_eq!(shop.loms.keys_asked().len(), 2, "asked, and asked once more");
    for round in 1..=3 {
        let answers = "select coalesce(sum(unusable_answers), 0)::bigint from checkout_intents";
        eventually(SOON, "the answer is written down", async || shop.count(answers).await == round)
            .await;
        for client in &clients {
            assert_eq!(client.checkout(1).await.status, 502, "nobody asks while it rests");
        }
        let asked = shop.loms.keys_asked().len();
        assert_eq!(i64::try_from(asked).unwrap(), 1 + round);
        shop.execute("update checkout_intents set next_attempt_at = now()").await;
        eventually(SOON, "a sweeper asks", async || shop.loms.keys_asked().len() == asked + 1)
            .await;
    }
    let waits =
        "select max(extract(epoch from next_attempt_at - now())::bigint) from checkout_intents";
    eventually(SOON, "it rests longer each time", async || {
        let mut longest = 0;
        for database in &shop.databases {
            let mut connection = database.connect().await;
            let wait: Option<i64> =
                sqlx::query_scalar(waits).fetch_one(&mut connection).await.unwrap();
            longest = longest.max(wait.unwrap_or(0));
        }
        longest > 15
    })
    .await;
    one.stop().await;
    two.stop().await;
}

#[actix_web::test]
async fn a_checkout_with_many_unusable_answers_is_left_to_its_user() {
    let mut shop = Shop::open().await;
    shop.set("CHECKOUT_GRACE", "1ms").set("SWEEP_INTERVAL", "20ms");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    for user in [1, 2] {
        shop.loms.refuse_user(user, Some(Code::Internal));
        client.fill(user, &[(1003, 2)]).await;
        assert_eq!(client.checkout(user).await.status, 502);
    }
    let asked = shop.loms.keys_asked().len();
    eventually(SOON, "both rest", async || {
        shop.count("select count(*) from checkout_intents where unusable_answers > 0").await == 2
    })
    .await;
    shop.execute("update checkout_intents set unusable_answers = 16 where user_id = 1").await;
    shop.execute("update checkout_intents set next_attempt_at = now()").await;
    shop.loms.refuse_user(1, None);
    shop.loms.refuse_user(2, None);
    // Both are due, and the sweeper has seen both by the time it has settled one.
    eventually(SOON, "one is settled", async || client.show(2).await.status == 404).await;
    assert_eq!(shop.loms.keys_asked().len(), asked + 1);
    eventually(SOON, "the user settles the other", async || client.checkout(1).await.status == 200)
        .await;
    cart.stop().await;
}
