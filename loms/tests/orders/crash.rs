//! Killed and frozen processes.

use std::collections::BTreeSet;
use std::time::Duration;

use dev::testing::{ServiceProcess, Signal, eventually, http_client};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use reqwest::Client;
use serde_json::{Value, json};

use crate::events::{Events, stories, story};
use crate::invariants;
use crate::shop::Backend;

/// Creates an order for one piece of the SKU 1 under a key. Returns its id.
async fn create(client: &Client, loms: &str, user: u32) -> Result<String, String> {
    let body = json!({"order": {"user": user, "items": [{"sku": 1, "count": 1}]}});
    let request =
        client.post(format!("{loms}/v1/orders")).header("Idempotency-Key", "k").json(&body);
    let response = request.send().await.map_err(|error| format!("{error:?}"))?;
    let answer: Value = response.json().await.map_err(|error| format!("{error:?}"))?;
    answer["orderId"].as_str().map(str::to_owned).ok_or_else(|| answer.to_string())
}

async fn pay(client: &Client, loms: &ServiceProcess, order: &str) {
    let url = format!("{}/v1/orders/{order}/pay", loms.base_url());
    assert!(client.post(url).send().await.unwrap().status().is_success());
}

#[actix::test]
async fn whatever_is_killed_half_way_a_retry_gets_one_order_and_nothing_is_lost() {
    let backend = Backend::new().await;
    let mut loms = backend.launch(&[("SWEEP_INTERVAL", "100ms")]).await;
    backend.add_stock(1, 150).await;
    let mut users = 1_u32..;
    for survivors in [1, 10, 25] {
        let users: Vec<u32> = users.by_ref().take(50).collect();
        let (client, base) = (http_client(), loms.base_url());
        let mut answers: FuturesUnordered<_> =
            users.iter().map(|user| create(&client, &base, *user)).collect();
        let mut early = BTreeSet::new();
        while early.len() < survivors {
            early.insert(answers.next().await.unwrap().unwrap());
        }
        loms.kill9();
        while let Some(answer) = answers.next().await {
            early.extend(answer);
        }
        loms.restart().await;
        let client = http_client();
        let mut all = BTreeSet::new();
        for user in users {
            all.insert(create(&client, &base, user).await.unwrap());
        }
        assert_eq!(all.len(), 50);
        assert!(early.is_subset(&all), "what was answered before the kill stays true");
    }
    invariants::hold(&backend).await;
    let left: i64 =
        sqlx::query_scalar("SELECT total_count - reserved_count FROM stock WHERE sku = 1")
            .fetch_one(&backend.pools[0])
            .await
            .unwrap();
    assert_eq!(left, 0);
    assert!(loms.terminate().await.success());
}

#[actix::test]
async fn a_frozen_instance_loses_the_relay_to_another_one() {
    let backend = Backend::new().await;
    let mut first = backend.launch(&[]).await;
    let second = backend.launch(&[]).await;
    backend.add_stock(1, 100).await;
    let (events, consumer) = Events::read(&backend);
    let client = http_client();
    let mut orders = 0;
    for user in 1..=10 {
        pay(&client, &first, &create(&client, &first.base_url(), user).await.unwrap()).await;
        orders += 3;
    }
    events.when(orders).await;
    // Events that are published but still in the outbox would be published again.
    backend.at_rest().await;

    first.signal(Signal::SIGSTOP);
    for user in 11..=20 {
        pay(&client, &second, &create(&client, &second.base_url(), user).await.unwrap()).await;
        orders += 3;
    }
    events.when(orders).await;

    first.signal(Signal::SIGCONT);
    let alive = async || create(&client, &first.base_url(), 21).await;
    let order = eventually(Duration::from_secs(20), "the first instance works again", alive).await;
    pay(&client, &first, &order).await;
    let records = events.when(orders + 3).await;
    assert_eq!(records.len(), orders + 3);
    let told = story(&["NEW", "AWAITING_PAYMENT", "PAYED"]);
    assert!(stories(&records).values().all(|story| *story == told), "{records:?}");
    invariants::hold(&backend).await;
    consumer.drain().await;
}
