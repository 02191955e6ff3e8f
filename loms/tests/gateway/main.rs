//! The shipping application's REST gateway, on real databases, next to its gRPC front-end.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by its panic")]

mod shop;

use loms::api::REQUEST_LIMIT_BYTES;
use loms::api::proto;
use serde_json::json;
use shop::{Shop, order};
use tonic::{Code, Request};
use tonic_types::StatusExt;

#[actix_web::test]
async fn an_order_is_created_read_and_paid_once() {
    let shop = Shop::open().await;
    let id = shop.create(&order(1, &[(1003, 1), (1002, 2), (1002, 3)])).await;
    let expected = json!({"order": {
        "status": "AWAITING_PAYMENT",
        "user": "1",
        "items": [{"sku": 1002, "count": 5}, {"sku": 1003, "count": 1}],
        "id": id,
    }});
    shop.get(&format!("/v1/orders/{id}")).await.is(200, &expected);
    shop.get("/v1/stocks/1002").await.is(200, &json!({"count": "175"}));

    for body in ["", "{}", r#"{"order_id": 7, "unknown": true}"#] {
        shop.post(&format!("/v1/orders/{id}/pay"), body).await.is(200, &json!({}));
    }
    assert_eq!(shop.get(&format!("/v1/orders/{id}")).await.body["order"]["status"], "PAYED");
    shop.post(&format!("/v1/orders/{id}/cancel"), "").await.is_error(
        400,
        Code::FailedPrecondition,
        "PAYED",
    );
    shop.get("/v1/stocks/1002").await.is(200, &json!({"count": "175"}));
}

#[actix_web::test]
async fn a_cancelled_order_gives_its_items_back_and_cannot_be_paid() {
    let shop = Shop::open().await;
    let id = shop.create(&order(2, &[(1004, 7)])).await;
    shop.get("/v1/stocks/1004").await.is(200, &json!({"count": "253"}));
    for _ in 0..2 {
        shop.post(&format!("/v1/orders/{id}/cancel"), "{}").await.is(200, &json!({}));
    }
    shop.get("/v1/stocks/1004").await.is(200, &json!({"count": "260"}));
    shop.post(&format!("/v1/orders/{id}/pay"), "").await.is_error(
        400,
        Code::FailedPrecondition,
        "CANCELLED",
    );
}

#[actix_web::test]
async fn an_order_that_the_stock_cannot_serve_is_refused_and_kept_as_failed() {
    let shop = Shop::open().await;
    let short = [
        (
            vec![(1005, 301)],
            1005,
            "sku 1005: 301 wanted, 300 left",
            json!({"sku/1005/wanted": "301", "sku/1005/left": "300"}),
        ),
        (vec![(1005, 1), (77, 1)], 77, "sku 77 is unknown", json!({"sku/77/wanted": "1"})),
    ];
    for (items, sku, why, metadata) in short {
        let refused = shop.post("/v1/orders", &order(3, &items)).await;
        let details = json!([
            {
                "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
                "violations":
                    [{"type": "STOCK", "subject": format!("sku/{sku}"), "description": why}],
            },
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "OUT_OF_STOCK",
                "domain": "loms",
                "metadata": metadata,
            },
        ]);
        refused.is_error_with(400, Code::FailedPrecondition, why, &details);
        let newest = shop.get("/v1/orders?pageSize=1").await.body["orders"][0].clone();
        assert_eq!(newest["status"], "FAILED");
        let id = newest["id"].as_str().unwrap();
        assert_eq!(shop.get(&format!("/v1/orders/{id}")).await.body["order"], newest);
    }
    shop.get("/v1/stocks/1005").await.is(200, &json!({"count": "300"}));
}

#[actix_web::test]
async fn a_create_that_breaks_a_rule_names_the_field() {
    let shop = Shop::open().await;
    let item = r#"{"sku":1002,"count":1}"#;
    let by = |user: &str| format!(r#"{{"order":{{"user":{user},"items":[{item}]}}}}"#);
    let of = |items: &str| format!(r#"{{"order":{{"user":1,"items":{items}}}}}"#);
    for wrong in
        ["0", "-1", "1.5", "\"x\"", "\"\"", "true", "null", "{}", "9223372036854775808", "1e40"]
    {
        shop.post("/v1/orders", &by(wrong)).await.is_error(400, Code::InvalidArgument, "user");
    }
    for (field, other) in [("sku", "count"), ("count", "sku")] {
        for wrong in
            ["0", "-1", "1.5", "\"x\"", "true", "null", "[1]", "4294967296", "9223372036854775808"]
        {
            let items = format!(r#"[{item},{{"{field}":{wrong},"{other}":1}}]"#);
            shop.post("/v1/orders", &of(&items)).await.is_error(400, Code::InvalidArgument, field);
        }
        let missing = format!(r#"[{{"{other}":1}}]"#);
        shop.post("/v1/orders", &of(&missing)).await.is_error(400, Code::InvalidArgument, field);
    }
    for wrong in
        ["[]", "null", "{}", "1", "[1]", r#"[{"sku":1,"count":4294967295},{"sku":1,"count":1}]"#]
    {
        shop.post("/v1/orders", &of(wrong)).await.is_error(400, Code::InvalidArgument, "items");
    }
    for wrong in ["", "{}", r#"{"order":null}"#, r#"{"order":[]}"#, r#"{"Order":{}}"#] {
        shop.post("/v1/orders", wrong).await.is_error(400, Code::InvalidArgument, "order");
    }
    for wrong in ["{", "[]", "null", "user=1", "{}x"] {
        shop.post("/v1/orders", wrong).await.is_error(400, Code::InvalidArgument, "body");
    }
    assert_eq!(shop.get("/v1/orders").await.body["orders"], json!([]));
}

#[actix_web::test]
async fn both_spellings_and_both_kinds_of_integers_are_read_and_nonsense_in_ignored_fields_is() {
    let shop = Shop::open().await;
    let body = r#"{"order":{"user":"9223372036854775807","status":"BANANA","id":"-1","more":[{}],
        "items":[{"sku":"1002","count":1.0}]},"idempotency_key":"k","more":1}"#;
    let id = shop.create(body).await;
    let read = shop.get(&format!("/v1/orders/{id}")).await.body;
    assert_eq!(read["order"]["user"], "9223372036854775807");
    assert_eq!(read["order"]["status"], "AWAITING_PAYMENT");
    assert_eq!(shop.create(&body.replace("idempotency_key", "idempotencyKey")).await, id);
}

#[actix_web::test]
async fn a_key_makes_one_order_of_many_requests() {
    let shop = Shop::open().await;
    let body = order(4, &[(1002, 1)]);
    let first = shop.create_with_key("again", &body).await;
    let id = first.is_created();
    assert_eq!(shop.create_with_key("again", &body).await.is_created(), id);
    let in_body = body.replacen('{', r#"{"idempotencyKey":"again","#, 1);
    assert_eq!(shop.create(&in_body).await, id);
    assert_eq!(shop.create_with_key("again", &in_body).await.is_created(), id);
    let other = shop.create_with_key("again", &order(4, &[(1002, 2)])).await;
    other.is_error(409, Code::AlreadyExists, "idempotency key");
    let contradiction = shop.create_with_key("other", &in_body).await;
    contradiction.is_error(400, Code::InvalidArgument, "idempotency_key");
    shop.get("/v1/stocks/1002").await.is(200, &json!({"count": "179"}));

    let mut request = Request::new(proto::OrderCreateRequest {
        order: Some(proto::Order {
            user: 4,
            items: vec![proto::Item { sku: 1002, count: 1 }],
            ..Default::default()
        }),
        ..Default::default()
    });
    request.metadata_mut().insert("idempotency-key", "again".parse().unwrap());
    let same = shop.grpc().await.order_create(request).await.unwrap().into_inner();
    assert_eq!(same.order_id.to_string(), id);
}

#[actix_web::test]
async fn an_unknown_route_or_id_and_a_wrong_method_are_told_in_the_shape_of_every_error() {
    let shop = Shop::open().await;
    for path in ["/v1", "/v1/", "/v1/order", "/v1/orders/", "/v1/orders/1/refund", "/v2/orders"] {
        shop.get(path).await.is_error(404, Code::NotFound, "");
    }
    for id in ["1", "999", "1000", "1002", "9223372036854775807"] {
        shop.get(&format!("/v1/orders/{id}")).await.is_error(404, Code::NotFound, id);
        shop.post(&format!("/v1/orders/{id}/pay"), "").await.is_error(404, Code::NotFound, id);
        shop.post(&format!("/v1/orders/{id}/cancel"), "").await.is_error(404, Code::NotFound, id);
    }
    for id in ["0", "-1", "abc", "1.5", "9223372036854775808"] {
        shop.get(&format!("/v1/orders/{id}")).await.is_error(
            400,
            Code::InvalidArgument,
            "order_id",
        );
        shop.post(&format!("/v1/orders/{id}/pay"), "").await.is_error(
            400,
            Code::InvalidArgument,
            "order_id",
        );
        shop.post(&format!("/v1/orders/{id}/cancel"), "").await.is_error(
            400,
            Code::InvalidArgument,
            "order_id",
        );
    }
    for path in ["/v1/orders/1/pay", "/v1/orders/1/cancel"] {
        shop.post(path, "not json").await.is_error(400, Code::InvalidArgument, "body");
        shop.post(path, r#"{"orderId":"x"}"#).await.is_error(400, Code::InvalidArgument, "orderId");
        shop.get(path).await.is_error(405, Code::Unimplemented, "");
    }
    for sku in ["0", "-1", "abc", "1.5", "4294967296"] {
        shop.get(&format!("/v1/stocks/{sku}")).await.is_error(400, Code::InvalidArgument, "sku");
    }
    for sku in ["1", "4294967295"] {
        shop.get(&format!("/v1/stocks/{sku}")).await.is_error(404, Code::NotFound, sku);
    }
    shop.post("/v1/stocks/1002", "").await.is_error(405, Code::Unimplemented, "");
    shop.post("/v1/orders/1000", "").await.is_error(405, Code::Unimplemented, "");
}

#[actix_web::test]
async fn a_thousand_items_fit_and_a_larger_body_does_not() {
    let shop = Shop::open().await;
    let items = |count: u32| (0..count).map(|n| (u32::MAX - n, u32::MAX)).collect::<Vec<_>>();
    let thousand = shop.post("/v1/orders", &order(i64::MAX, &items(1000))).await;
    let details = thousand.body["details"].clone();
    assert_eq!(details[0]["violations"].as_array().unwrap().len(), 10, "not all of them are told");
    thousand.is_error_with(400, Code::FailedPrecondition, "order", &details);
    let more = shop.post("/v1/orders", &order(1, &items(1001))).await;
    more.is_error(400, Code::InvalidArgument, "items");
    let large = " ".repeat(REQUEST_LIMIT_BYTES + 1);
    shop.post("/v1/orders", &large).await.is_error(413, Code::ResourceExhausted, "65536");
}

#[actix_web::test]
async fn all_orders_are_listed_newest_first_page_by_page() {
    let shop = Shop::open().await;
    for user in 1..=5 {
        shop.create(&order(user, &[(1002, 1)])).await;
    }
    let all = shop.get("/v1/orders").await.body;
    assert_eq!(all["nextPageToken"], "");
    let ids = |page: &serde_json::Value| -> Vec<i64> {
        let orders = page["orders"].as_array().unwrap();
        orders.iter().map(|order| order["id"].as_str().unwrap().parse().unwrap()).collect()
    };
    let listed = ids(&all);
    assert!(listed.len() == 5 && listed.is_sorted_by(|newer, older| newer > older), "{listed:?}");

    let mut paged = Vec::new();
    let mut page = shop.get("/v1/orders?page_size=2").await.body;
    loop {
        assert!(ids(&page).len() <= 2);
        paged.extend(ids(&page));
        let token = page["nextPageToken"].as_str().unwrap();
        if token.is_empty() {
            break;
        }
        page = shop.get(&format!("/v1/orders?pageSize=2&pageToken={token}")).await.body;
    }
    assert_eq!(paged, listed);
    for (query, field) in
        [("page_size=x", "page_size"), ("pageSize=-1", "page_size"), ("page_token=0", "page_token")]
    {
        shop.get(&format!("/v1/orders?{query}")).await.is_error(400, Code::InvalidArgument, field);
    }
}

#[actix_web::test]
async fn a_client_that_knows_no_paging_lists_all_orders_over_grpc() {
    let shop = Shop::open().await;
    let id = shop.create(&order(1, &[(1002, 1)])).await;
    let path = "/Loms/OrdersAll".parse().unwrap();
    let mut client = tonic::client::Grpc::new(shop.channel().await);
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<(), proto::OrderAllResponse>::default();
    let listed = client.unary(Request::new(()), path, codec).await.unwrap().into_inner();
    assert_eq!(listed.orders.iter().map(|order| order.id.to_string()).collect::<Vec<_>>(), [id]);
}

#[actix_web::test]
async fn a_broken_rule_names_its_field_in_the_details_of_the_grpc_status() {
    let shop = Shop::open().await;
    let mut client = shop.grpc().await;
    let refused = client.order_info(proto::OrderInfoRequest { order_id: 0 }).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let violations = refused.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "order_id");
    let unknown = client.stocks_info(proto::StocksInfoRequest { sku: 7 }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}

#[actix_web::test]
async fn only_pages_of_the_swagger_ui_may_call_from_a_browser() {
    let shop = Shop::open().await;
    for (origin, allowed) in [
        ("http://localhost:8089", true),
        ("http://127.0.0.1:8089", true),
        ("http://localhost:8090", false),
        ("https://shop.example", false),
    ] {
        let expected = allowed.then_some(origin);
        for path in ["/v1/stocks/1002", "/v1/stocks/0", "/v1/nothing"] {
            assert_eq!(shop.allowed_origin(path, origin).await.as_deref(), expected, "{path}");
        }
        assert_eq!(shop.preflight("/v1/orders", origin).await.as_deref(), expected);
    }
}
