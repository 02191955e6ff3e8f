//! The events of a change continue the trace of the request that made it.

use serde_json::json;

use crate::support::{Answer, Shop, Trace, new_user};

#[tokio::test]
async fn events_continue_the_trace_of_the_grpc_call_that_made_the_change() {
    let shop = Shop::shared().await;
    let sku = shop.loms.stock(10).await;
    let (created, paid) = (Trace::begin(), Trace::begin());
    let creating = shop.loms.client().with("traceparent", &created.traceparent());
    let order = creating.create(new_user(), &[(sku, 1)]).await.unwrap();
    shop.loms.client().with("traceparent", &paid.traceparent()).pay(order).await.unwrap();
    let events = shop.loms.events().of_order(order, 3);
    for (event, trace) in events.iter().zip([&created, &created, &paid]) {
        trace.assert_continued_by(event.header("traceparent"));
    }
}

#[tokio::test]
async fn events_continue_the_trace_of_a_call_over_the_gateway() {
    let shop = Shop::shared().await;
    let sku = shop.loms.stock(10).await;
    let order = shop.loms.client().create(new_user(), &[(sku, 1)]).await.unwrap();
    let trace = Trace::begin();
    let request =
        shop.loms.gateway().request(reqwest::Method::POST, &format!("/v1/orders/{order}/cancel"));
    Answer::of(request.header("traceparent", trace.traceparent()).body("{}")).await.expect(200);
    let events = shop.loms.events().of_order(order, 3);
    trace.assert_continued_by(events[2].header("traceparent"));
}

#[tokio::test]
async fn events_continue_the_trace_of_a_checkout() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let sku = shop.loms.stock_product(10).await;
    cart.add(user, sku, 1).await.expect(200);
    let trace = Trace::begin();
    let request = cart.0.request(reqwest::Method::POST, "/cart/checkout");
    let request =
        request.header("traceparent", trace.traceparent()).body(json!({"user": user}).to_string());
    let answer = Answer::of(request).await.expect(200).json();
    let order = answer["orderID"].as_i64().unwrap();
    for event in shop.loms.events().of_order(order, 2) {
        trace.assert_continued_by(event.header("traceparent"));
    }
}

#[tokio::test]
async fn a_request_without_a_trace_begins_one() {
    let shop = Shop::shared().await;
    let sku = shop.loms.stock(10).await;
    let order = shop.loms.client().create(new_user(), &[(sku, 1)]).await.unwrap();
    let events = shop.loms.events().of_order(order, 2);
    let parts: Vec<&str> = events[0].header("traceparent").split('-').collect();
    assert_eq!(
        parts.iter().map(|part| part.len()).collect::<Vec<_>>(),
        [2, 32, 16, 2],
        "{parts:?}"
    );
    assert_ne!(parts[1], "0".repeat(32));
}
