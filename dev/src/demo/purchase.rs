//! One purchase, from the cart to the notification.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::calls::Calls;
use super::notification::Notifications;
use crate::stack::report::headline;
use crate::stack::shop::ShopPorts;

/// The SKUs that a new shop has in stock.
const IN_STOCK: [u32; 5] = [773_297_411, 1002, 1003, 1004, 1005];

/// Plays a purchase by a new user: one unit each of two products.
pub async fn play(ports: &ShopPorts, notifier_log: &Path) -> Result<()> {
    let calls = Calls::new();
    let (cart, loms) =
        [ports.cart, ports.loms].map(|port| format!("http://localhost:{port}")).into();
    let user = 1 + uuid::Uuid::new_v4().as_u128() % 1_000_000_000;
    let mut notifications = Notifications::from_now_on(notifier_log);

    headline("Stock");
    let (first, second) = best_stocked(&calls, &loms).await?;

    headline(&format!("User {user} fills a cart"));
    for sku in [first, second] {
        calls.post(&format!("{cart}/user/{user}/cart/{sku}"), json!({ "count": 1 })).await?;
    }
    calls.get(&format!("{cart}/user/{user}/cart")).await?;

    headline("The user checks out");
    let ordered = calls.post(&format!("{cart}/cart/checkout"), json!({ "user": user })).await?;
    let order = ordered["orderID"].as_i64().context("the checkout's answer contains no orderID")?;
    let url = format!("{loms}/v1/orders/{order}");
    require_status(&calls.get(&url).await?, "AWAITING_PAYMENT")?;

    headline("The user pays");
    calls.post(&format!("{url}/pay"), json!({})).await?;
    require_status(&calls.get(&url).await?, "PAYED")?;

    headline("The notifier reports each change");
    notifications.show_until_payed(order, Duration::from_secs(20)).await
}

/// The two SKUs with the most stock, so that repeated demos sell the shop out as late as possible.
async fn best_stocked(calls: &Calls, loms: &str) -> Result<(u32, u32)> {
    let mut stocks = Vec::new();
    for sku in IN_STOCK {
        let answer = calls.get(&format!("{loms}/v1/stocks/{sku}")).await?;
        let count = answer["count"].as_str().and_then(|count| count.parse::<u64>().ok());
        let count = count.with_context(|| format!("the stock of {sku} contains no count"))?;
        if count > 0 {
            stocks.push((count, sku));
        }
    }
    stocks.sort_unstable_by(|one, other| other.cmp(one));
    match stocks[..] {
        [(_, first), (_, second), ..] => Ok((first, second)),
        _ => bail!("the shop is sold out; run `make clean-data` to start with full stock"),
    }
}

fn require_status(answer: &Value, status: &str) -> Result<()> {
    if answer["order"]["status"] != status {
        bail!("the order should be {status}, but is {}", answer["order"]["status"]);
    }
    Ok(())
}
