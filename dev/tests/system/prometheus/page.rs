//! The page of Prometheus itself, in a real browser.

use std::time::Duration;

use dev::demo::throughput;
use dev::testing::http_client;
use futures::future::join_all;

use super::customer;
use crate::support::{
    Answer, Browser, Prometheus, Servers, Settings, Shop, eventually, keep_picture,
};

/// The names of the lines, in both versions of the page.
const LEGEND: &str = ".rickshaw_legend li, .legend-item";
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn the_link_to_the_alerts_is_a_page() {
    let shop = Shop::shared().await;
    let prometheus = Prometheus::start(&shop).await;
    let page = format!("{}{}", prometheus.base_url, throughput::ALERTS);
    let shown = Answer::of(http_client().get(page)).await.expect(200);
    assert!(shown.body.contains("CheckoutsOpen"), "{}", shown.body);
}

#[tokio::test]
async fn the_ready_link_draws_the_message_throughput_of_each_actor() {
    let shop = Shop::start(&Servers::from_env(), Settings::default()).await;
    let prometheus = Prometheus::start(&shop).await;
    let sku = shop.loms.stock_product(1_000_000).await;
    let browser = Browser::open(1280, 1150).await;
    let page = format!("{}{}", prometheus.base_url, throughput::PAGE);
    let looked_at = async {
        // For a screenshot that shows some history: how many seconds of load come first.
        let seconds = std::env::var("PICTURE_AFTER").ok().and_then(|seconds| seconds.parse().ok());
        tokio::time::sleep(Duration::from_secs(seconds.unwrap_or(0))).await;
        for actor in ["cart", "order_shard", "stock_shard", "relay", "inbox", "log_channel"] {
            let line = format!("actor=\"{actor}\"");
            // The page queries only once, so open it again until the data are there.
            let drawn = async || browser.shows(&page, LEGEND, &line).await;
            eventually(PATIENCE, &format!("the page draws {actor}"), drawn).await;
        }
        keep_picture(&browser, "throughput.png").await;
    };
    tokio::select! {
        () = looked_at => {}
        _ = join_all((0..8).map(|_| customer(&shop, sku))) => {}
    }
}
