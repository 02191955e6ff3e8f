//! docs/metrics.md lists the metrics that the services serve. After a change, rewrite its table
//! with `UPDATE_CATALOGUE=1 make test TESTS="--workspace --test system catalogue"`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::scrape::traffic;
use crate::support::{Family, Rest, SOON, Samples, Shop, eventually, families, promtool};

const BEGIN: &str = "<!-- metrics -->\n";
const END: &str = "<!-- /metrics -->\n";

#[derive(Default)]
struct Row {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
    services: BTreeSet<&'static str>,
}

async fn pages(shop: &Shop) -> [(&'static str, String); 3] {
    let page = async |process: &dev::testing::ServiceProcess| {
        Rest::new(process.base_url()).get("/metrics").await.expect(200).body
    };
    [
        ("cart", page(&shop.cart.process).await),
        ("loms", page(&shop.loms.process).await),
        ("notifier", page(&shop.notifier.process).await),
    ]
}

fn table(pages: &[(&'static str, String)]) -> String {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for (service, page) in pages {
        let samples = Samples::parse(page);
        for Family { name, kind, help } in families(page) {
            let sample = if kind == "histogram" { format!("{name}_count") } else { name.clone() };
            let row = rows.entry(name).or_default();
            row.labels.extend(samples.of(&sample).flat_map(|sample| sample.labels.keys().cloned()));
            row.services.insert(service);
            (row.kind, row.help) = (kind, help);
        }
    }
    let line = |(name, Row { kind, help, labels, services }): (String, Row)| {
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let services = if services.len() == 3 {
            "all".to_owned()
        } else {
            services.into_iter().collect::<Vec<_>>().join(", ")
        };
        format!("| `{name}` | {kind} | {} | {services} | {help} |\n", labels.join(", "))
    };
    let head = "| family | kind | labels | served by | |\n|---|---|---|---|---|\n".to_owned();
    rows.into_iter().map(line).fold(head, |table, line| table + &line)
}

#[tokio::test]
async fn the_table_of_metrics_lists_what_the_services_serve() {
    let shop = Shop::shared().await;
    traffic(&shop).await;
    Rest::new(shop.notifier.process.base_url()).get("/nothing").await.expect(404);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    // Some families appear only once a Kafka client has reported its own statistics.
    let lagging = async || pages(&shop).await[2].1.contains("kafka_consumer_lag{");
    eventually(SOON, "the lag is known", lagging).await;
    let served = table(&pages(&shop).await);
    if std::env::var_os("UPDATE_CATALOGUE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{served}{END}{after}")).unwrap();
    } else {
        let changed: Vec<&str> = served.lines().filter(|line| !written.contains(line)).collect();
        let gone: Vec<&str> = written.lines().filter(|line| !served.contains(line)).collect();
        assert!(
            changed.is_empty() && gone.is_empty(),
            "served: {changed:#?}\nin docs/metrics.md: {gone:#?}"
        );
    }
}

#[tokio::test]
async fn promtool_finds_nothing_to_say_about_the_metrics() {
    let shop = Shop::shared().await;
    traffic(&shop).await;
    for (service, page) in pages(&shop).await {
        let (_, said) = promtool(&["check", "metrics"], &page).await;
        assert!(said.trim().is_empty(), "{service}: {said}");
    }
}
