//! One checkout, traced through all services.

use serde_json::json;

use crate::support::{
    Answer, Collector, SOON, Servers, Settings, Shop, Span, Trace, Tree, eventually, new_user,
};

const MAILBOX: &str = "mailbox wait";

/// Orders one piece. Returns the trace of the checkout once all of it has arrived.
async fn traced_checkout(shop: &Shop, collector: &Collector) -> (i64, Trace, Tree) {
    let (cart, user) = (shop.cart.client(), new_user());
    let sku = shop.loms.stock_product(10).await;
    cart.add(user, sku, 1).await.expect(200);
    let trace = Trace::begin();
    let request = cart.0.request(reqwest::Method::POST, "/cart/checkout");
    let request =
        request.header("traceparent", trace.traceparent()).body(json!({"user": user}).to_string());
    let order = Answer::of(request).await.expect(200).json()["orderID"].as_i64().unwrap();
    let tree = eventually(SOON, "the whole trace has come", async || {
        let tree = Tree(collector.trace(trace.id()));
        let last = ["POST /cart/checkout", "delete_outbox", "reserve_from_plenty"];
        let all_there = tree.all("notifier", "notify log").len() == 2
            && last.iter().all(|name| tree.0.iter().any(|span| span.name == *name))
            && tree.0.iter().all(|span| {
                span.parent == trace.parent() || tree.0.iter().any(|above| above.id == span.parent)
            });
        all_there.then_some(tree)
    })
    .await;
    (order, trace, tree)
}

#[tokio::test]
async fn a_checkout_is_one_trace_from_the_rest_call_to_the_notification() {
    let collector = Collector::start().await;
    let shop = Shop::start(&Servers::from_env(), Settings::of_all(&collector.settings())).await;
    let (order, trace, tree) = traced_checkout(&shop, &collector).await;
    let topic = shop.loms.topic.name.as_str();
    let (create, send) = (format!("create {topic}"), format!("send {topic}"));
    let (process, deliver) = (format!("process {topic}"), format!("deliver {topic}"));

    let checkout = [("cart", "POST /cart/checkout"), ("cart", "cart checkout")];
    let write = [("cart", "cart_shard write_cart"), ("cart", "cart_shard write_cart batch")];
    let call = [("cart", "Loms/OrderCreate"), ("loms", "Loms/OrderCreate")];
    let order_shard =
        [("loms", "order_shard create_order"), ("loms", "order_shard create_order batch")];
    let reserve = [("loms", "stock_shard reserve"), ("loms", "stock_shard reserve batch")];
    let ways: [&[&[(&str, &str)]]; 10] = [
        &[&checkout, &[("cart", MAILBOX)]],
        &[&checkout, &write, &[("cart", "write_carts")]],
        &[&checkout, &call, &order_shard, &[("loms", "insert_orders")]],
        &[&checkout, &call, &order_shard, &reserve, &[("loms", "reserve_from_plenty")]],
        &[
            &checkout,
            &call,
            &[("loms", create.as_str()), ("loms", send.as_str()), ("loms", "producer publish")],
        ],
        &[
            &checkout,
            &call,
            &[("loms", create.as_str()), ("loms", send.as_str()), ("loms", "delete_outbox")],
        ],
        &[&checkout, &call, &[("loms", create.as_str()), ("notifier", "notify log")]],
        &[
            &checkout,
            &call,
            &[
                ("loms", create.as_str()),
                ("notifier", process.as_str()),
                ("notifier", deliver.as_str()),
            ],
            &[("notifier", "inbox receive_events"), ("notifier", "receive_events")],
        ],
        &[
            &checkout,
            &call,
            &[
                ("loms", create.as_str()),
                ("notifier", process.as_str()),
                ("notifier", deliver.as_str()),
            ],
            &[("notifier", "inbox receive_events"), ("notifier", "log_channel send_notifications")],
        ],
        &[&checkout, &call, &order_shard[..1], &[("loms", MAILBOX)]],
    ];
    for way in ways {
        tree.require_path(trace.parent(), &way.concat());
    }
    assert_eq!(tree.all("loms", &create).len(), 2, "{}", tree.drawn());
    assert!(tree.0.iter().all(|span| !span.failed), "{tree:#?}");
    for command in tree.0.iter().filter(|span| span.attributes.contains_key("actor.command")) {
        let waits = tree.below(&command.id).filter(|span| span.name == MAILBOX).count();
        let expected = usize::from(!command.numbers.contains_key("actor.batch.size"));
        assert_eq!(waits, expected, "{} in\n{}", command.name, tree.drawn());
    }
    for line in shop.notifier.tells(order, "NEW").await {
        assert!(line.contains(&format!("trace_id={}", trace.id())), "{line}");
    }
}

#[tokio::test]
async fn spans_have_the_kinds_and_attributes_of_the_conventions() {
    let collector = Collector::start_http();
    let shop = Shop::start(&Servers::from_env(), Settings::of_all(&collector.settings())).await;
    let (order, _, tree) = traced_checkout(&shop, &collector).await;
    let topic = shop.loms.topic.name.as_str();

    let rest = tree.the("cart", "POST /cart/checkout");
    require(rest, SERVER, &[("http.request.method", "POST"), ("http.route", "/cart/checkout")]);
    require(rest, SERVER, &[("url.path", "/cart/checkout")]);
    assert_eq!(rest.numbers["http.response.status_code"], 200);
    require(rest, SERVER, &[("url.scheme", "http")]);
    let rpc = [("rpc.system.name", "grpc"), ("rpc.method", "Loms/OrderCreate")];
    for (service, kind) in [("cart", CLIENT), ("loms", SERVER)] {
        let call = tree.the(service, "Loms/OrderCreate");
        require(call, kind, &rpc);
        require(call, kind, &[("rpc.response.status_code", "OK")]);
    }
    let product = eventually(SOON, "the call of the product service has come", async || {
        collector.all().into_iter().find(|span| span.name == "POST /get_product")
    })
    .await;
    require(&product, CLIENT, &[("http.request.method", "POST")]);
    assert_eq!(product.numbers["http.response.status_code"], 200);
    assert!(product.numbers["server.port"] > 0);
    assert!(product.attribute("url.full").ends_with("/get_product"), "{product:#?}");
    let statement = tree.the("loms", "insert_orders");
    require(
        statement,
        CLIENT,
        &[("db.system.name", "postgresql"), ("db.query.summary", "insert_orders")],
    );
    let key = order.to_string();
    let message = [("messaging.system", "kafka"), ("messaging.destination.name", topic)];
    for (service, operation, kind) in
        [("loms", "create", PRODUCER), ("notifier", "process", CONSUMER)]
    {
        for span in tree.all(service, &format!("{operation} {topic}")) {
            require(span, kind, &message);
            require(
                span,
                kind,
                &[("messaging.operation.type", operation), ("messaging.kafka.message.key", &key)],
            );
        }
    }
    let sent = tree.the("loms", &format!("send {topic}"));
    require(sent, CLIENT, &message);
    require(sent, CLIENT, &[("messaging.operation.type", "send")]);
    assert_eq!(sent.numbers["messaging.batch.message_count"], 2);
    let created: Vec<&str> =
        tree.all("loms", &format!("create {topic}")).iter().map(|span| span.id.as_str()).collect();
    let causes = std::iter::once(&sent.parent).chain(sent.links.iter().map(|(_, span)| span));
    assert!(
        causes.clone().count() == 2
            && causes.clone().all(|cause| created.contains(&cause.as_str()))
    );
}

const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

#[track_caller]
fn require(span: &Span, kind: i32, attributes: &[(&str, &str)]) {
    assert_eq!(span.kind, kind, "{span:#?}");
    for (name, value) in attributes {
        assert_eq!(span.attribute(name), *value, "{name} in {span:#?}");
    }
}
