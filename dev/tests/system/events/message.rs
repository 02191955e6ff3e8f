//! The key, value and headers of one event.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::support::{Shop, new_user_on};

#[tokio::test]
async fn a_message_says_all_that_the_contract_names() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let (first, second) = (shop.loms.stock(10).await, shop.loms.stock(10).await);
    let mut reader = shop.loms.events();
    for shard in [0, 1] {
        let user = new_user_on(shard);
        let before = Utc::now() - chrono::TimeDelta::seconds(2);
        let order = loms.create(user, &[(second, 2), (first, 1), (second, 1)]).await.unwrap();
        loms.pay(order).await.unwrap();
        let events = reader.of_order(order, 3);
        for (event, (state, sequence)) in
            events.iter().zip([("NEW", 1), ("AWAITING_PAYMENT", 2), ("PAYED", 3)])
        {
            let (event_id, occurred_at) = (&event.value["eventId"], &event.value["occurredAt"]);
            let expected = json!({
                "id": order,
                "state": state,
                "userId": user,
                "items": [{"sku": first, "count": 1}, {"sku": second, "count": 3}],
                "eventId": event_id,
                "sequence": sequence,
                "occurredAt": occurred_at,
            });
            assert_eq!(event.value, expected);
            assert_eq!(event.key, order.to_string());

            let occurred_at = occurred_at.as_str().unwrap();
            let instant =
                DateTime::parse_from_rfc3339(occurred_at).unwrap_or_else(|error| panic!("{error}"));
            assert!(
                instant >= before && instant <= Utc::now() + chrono::TimeDelta::seconds(2),
                "{occurred_at}"
            );
            let event_id = event_id.as_str().unwrap();
            Uuid::parse_str(event_id).unwrap();

            assert_eq!(event.header("ce_specversion"), "1.0");
            assert_eq!(event.header("ce_id"), event_id);
            assert_eq!(event.header("ce_type"), format!("loms.order.{}.v1", state.to_lowercase()));
            assert_eq!(event.header("ce_source"), format!("/loms/shards/{shard}"));
            assert_eq!(event.header("ce_subject"), order.to_string());
            let ce_time = DateTime::parse_from_rfc3339(event.header("ce_time")).unwrap();
            assert_eq!(ce_time, instant);
            assert_eq!(event.header("content-type"), "application/json");
        }
        let ids: std::collections::BTreeSet<_> =
            events.iter().map(|event| event.header("ce_id")).collect();
        assert_eq!(ids.len(), 3);
    }
}
