//! The dashboards: every query of every panel, on a real Prometheus that scrapes the real services
//! under load.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::customer;
use crate::support::{Prometheus, Servers, Settings, Shop, eventually};

/// Long enough for Prometheus to scrape several times and to evaluate the rules, on a machine that
/// is busy with tests.
const PATIENCE: Duration = Duration::from_secs(90);

/// A panel's query, as this test sends it.
struct Query {
    panel: String,
    text: String,
}

#[tokio::test]
async fn every_panel_shows_something_and_no_alert_fires_while_the_shop_is_well() {
    let queries = queries();
    assert!(queries.len() > 40, "only {} queries", queries.len());
    let shop = Shop::start(&Servers::from_env(), Settings::default()).await;
    let prometheus = Prometheus::start(&shop).await;
    let sku = shop.loms.stock_product(1_000_000).await;
    let mut wanting: Vec<Query> = queries;
    let asked = async {
        eventually(PATIENCE, "every panel shows something", async || {
            let mut left = Vec::new();
            for query in std::mem::take(&mut wanting) {
                match prometheus.query(&query.text).await {
                    Ok(series) if series.iter().any(is_a_number) => {}
                    Ok(_) => left.push(query),
                    Err(error) => panic!("{}: {}: {error}", query.panel, query.text),
                }
            }
            wanting = left;
            let missing: Vec<String> =
                wanting.iter().map(|query| format!("{}: {}", query.panel, query.text)).collect();
            if missing.is_empty() { Ok(()) } else { Err(missing) }
        })
        .await;
    };
    tokio::select! {
        () = asked => {}
        () = customer(&shop, sku) => {}
    }
    let rules = eventually(PATIENCE, "every rule was evaluated", async || {
        let rules = prometheus.get("/api/v1/rules", &[]).await;
        let groups = rules["data"]["groups"].as_array().unwrap();
        let rules: Vec<Value> =
            groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).cloned().collect();
        if rules.iter().all(|rule| rule["health"] == "ok") { Ok(rules) } else { Err(rules) }
    })
    .await;
    assert!(rules.len() > 20);
    for rule in &rules {
        // Latency depends on the machine.
        let of_the_machine = rule["name"].as_str().unwrap().starts_with("LatencyBudget");
        assert!(of_the_machine || rule["state"] != "firing", "{rule:#}");
    }
}

#[test]
fn dashboards_have_names_of_their_own_and_explain_their_panels() {
    let mut uids = BTreeSet::new();
    for dashboard in dashboards() {
        assert!(
            uids.insert(dashboard["uid"].as_str().unwrap().to_owned()),
            "{} comes twice",
            dashboard["uid"]
        );
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap_or_default();
            assert!(!title.is_empty(), "a panel without a title in {}", dashboard["title"]);
            assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{title}");
        }
    }
    assert!(uids.len() >= 4, "{uids:?}");
}

fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for dashboard in dashboards() {
        let variables: Vec<String> = dashboard["templating"]["list"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|variable| variable["name"].as_str().unwrap().to_owned())
            .collect();
        let substituted = |text: &str| {
            let text = text.replace("$__rate_interval", "1m").replace("$__range", "5m");
            let text = variables.iter().fold(text, |text, variable| {
                text.replace(&format!("${variable}"), ".*")
                    .replace(&format!("${{{variable}}}"), ".*")
            });
            assert!(!text.contains('$'), "{text}");
            text
        };
        for variable in dashboard["templating"]["list"].as_array().into_iter().flatten() {
            let Some(query) = variable["query"]["query"].as_str() else { continue };
            let selector = query
                .strip_prefix("label_values(")
                .and_then(|query| query.rsplit_once(','))
                .unwrap()
                .0;
            let panel = format!("{}, variable {}", dashboard["title"], variable["name"]);
            queries.push(Query { panel, text: substituted(selector) });
        }
        for panel in panels(&dashboard) {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let Some(text) = target["expr"].as_str() else { continue };
                let panel = format!("{}, {}", dashboard["title"], panel["title"]);
                queries.push(Query { panel, text: substituted(text) });
            }
        }
    }
    queries
}

fn dashboards() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/grafana/dashboards");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.map(|file| serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap()).collect()
}

fn is_a_number(series: &Value) -> bool {
    series["value"][1].as_str().and_then(|value| value.parse().ok()).is_some_and(f64::is_finite)
}

/// All panels, including those within rows. The rows themselves show nothing and are left out.
fn panels(dashboard: &Value) -> Vec<Value> {
    let panels = dashboard["panels"].as_array().unwrap();
    let within =
        panels.iter().flat_map(|panel| panel["panels"].as_array().cloned().unwrap_or_default());
    panels.iter().cloned().chain(within).filter(|panel| panel["type"] != "row").collect()
}
