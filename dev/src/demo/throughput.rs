//! The actors' message throughput, read from Prometheus.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use reqwest::Client;
use serde_json::{Value, json};

use crate::stack::report::headline;
use crate::stack::shop::ShopPorts;

/// The path of the page with rules and alerts in Prometheus. The Debian and Ubuntu packages have
/// only the classic page.
pub const ALERTS: &str = "/classic/alerts";

/// Messages per second of each actor.
const QUERY: &str = "sum by (actor) (rate(actor_messages_total[1m]))";
/// The last actor that an event reaches.
const LAST: &str = "log_channel";
/// The path of the page of Prometheus that draws the messages per second of each actor.
pub const PAGE: &str = "/graph?g0.expr=sum%20by%20(actor)%20(rate(actor_messages_total%5B1m%5D))\
                        &g0.tab=0&g0.range_input=5m";

/// How long to generate traffic. A rate needs traffic between two scrapes, which are 2 s apart.
const TRAFFIC: Duration = Duration::from_secs(5);
const GIVE_UP: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// Keeps the shop busy for a few seconds and prints the messages per second that Prometheus saw.
pub async fn show(ports: &ShopPorts) -> Result<()> {
    headline(
        "Another user orders and cancels for a few seconds. Messages per second of each actor, from Prometheus",
    );
    println!("    {QUERY}");
    let client = crate::http::client();
    let started = Instant::now();
    let mut latest = Vec::new();
    while started.elapsed() < GIVE_UP {
        change_minds(&client, ports, TRAFFIC).await?;
        latest = rates(&client, ports).await?;
        if latest.iter().any(|(actor, rate)| actor == LAST && *rate > 0.0) {
            break;
        }
    }
    if latest.is_empty() {
        bail!("Prometheus has no rate of actor_messages_total after {} s", GIVE_UP.as_secs());
    }
    for (actor, rate) in latest {
        println!("    {actor:<24} {rate:>8.1}");
    }
    Ok(())
}

/// Lets one user repeatedly fill a cart, check out and cancel. Each actor gets work, and the stock
/// stays as it was.
async fn change_minds(client: &Client, ports: &ShopPorts, how_long: Duration) -> Result<()> {
    let started = Instant::now();
    let user = 1_000_000_001 + uuid::Uuid::new_v4().as_u128() % 1_000_000_000;
    let shop = format!("http://localhost:{}", ports.cart);
    while started.elapsed() < how_long {
        let add = client.post(format!("{shop}/user/{user}/cart/1005")).json(&json!({ "count": 1 }));
        add.send().await.context("cart did not answer")?;
        let checkout = client.post(format!("{shop}/cart/checkout")).json(&json!({ "user": user }));
        let answer: Value =
            checkout.send().await?.json().await.context("cart did not answer with JSON")?;
        if let Some(order) = answer["orderID"].as_i64() {
            let cancel = format!("http://localhost:{}/v1/orders/{order}/cancel", ports.loms);
            client.post(cancel).send().await.context("loms did not answer")?;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn rates(client: &Client, ports: &ShopPorts) -> Result<Vec<(String, f64)>> {
    let url = format!("http://localhost:{}/api/v1/query", ports.prometheus);
    let response = client.post(url).header("content-type", "application/x-www-form-urlencoded");
    let text =
        response.body(format!("query={}", percent_encoded(QUERY))).send().await?.text().await?;
    let answer: Value =
        serde_json::from_str(&text).with_context(|| format!("Prometheus answered {text}"))?;
    let series = answer["data"]["result"]
        .as_array()
        .with_context(|| format!("Prometheus answered {text}"))?;
    let mut rates: Vec<(String, f64)> = series
        .iter()
        .filter_map(|one| {
            let rate = one["value"][1].as_str()?.parse().ok()?;
            Some((one["metric"]["actor"].as_str()?.to_owned(), rate))
        })
        .collect();
    rates.sort_by(|one, other| other.1.total_cmp(&one.1));
    Ok(rates)
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| format!("{encoded}%{byte:02X}"))
}
