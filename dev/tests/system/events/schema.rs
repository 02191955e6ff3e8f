//! The schema of events: where it is served, and what matches it.

use std::path::Path;

use dev::stack::folders::project_root;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::{Shop, new_user};

async fn served(shop: &Shop) -> Validator {
    let answer = shop.loms.gateway().get("/order-event.schema.json").await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/schema+json"));
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&serde_json::from_str(&answer.body).unwrap()).unwrap()
}

fn assert_matches(schema: &Validator, event: &Value) {
    let wrong: Vec<String> = schema.iter_errors(event).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{event}: {wrong:?}");
}

#[tokio::test]
async fn every_event_matches_the_schema_that_loms_serves() {
    let shop = Shop::shared().await;
    let (loms, schema) = (shop.loms.client(), served(&shop).await);
    let (sku, scarce) = (shop.loms.stock(10).await, shop.loms.stock(1).await);
    let mut reader = shop.loms.events();
    let (paid, cancelled) = (
        loms.create(new_user(), &[(sku, 2)]).await.unwrap(),
        loms.create(new_user(), &[(sku, 1)]).await.unwrap(),
    );
    loms.pay(paid).await.unwrap();
    loms.cancel(cancelled).await.unwrap();
    let user = new_user();
    loms.create(user, &[(scarce, 2)]).await.unwrap_err();
    let failed = shop.loms.orders_of(user).await[0].0;
    let mut events = reader.of_order(paid, 3);
    events.extend(reader.of_order(cancelled, 3));
    events.extend(reader.of_order(failed, 2));
    for event in &events {
        assert_matches(&schema, &event.value);
    }
    let states: std::collections::BTreeSet<_> =
        events.iter().map(|event| event.value["state"].to_string()).collect();
    assert_eq!(states.len(), 5, "every state: {states:?}");
    let mut wrong = events[0].value.clone();
    wrong["sequence"] = json!(0);
    assert!(!schema.is_valid(&wrong));
}

#[tokio::test]
async fn records_of_every_version_match_the_schema_of_today() {
    let shop = Shop::shared().await;
    let schema = served(&shop).await;
    let folder = project_root().unwrap().join("proto/order-events");
    for file in std::fs::read_dir(folder).unwrap() {
        for record in kept(&file.unwrap().path()) {
            assert_matches(&schema, &record["value"]);
        }
    }
}

fn kept(file: &Path) -> Vec<Value> {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}
