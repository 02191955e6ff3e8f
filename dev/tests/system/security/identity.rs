//! Who may call what: every route and method, for each kind of caller.

use dev::testing::Issuer;
use reqwest::Method;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{
    Answer, Cart, Loms, LomsClient, ProductStandIn, Rest, Servers, new_user, set,
};

/// A shop that accepts only tokens.
struct Guarded {
    issuer: Issuer,
    loms: Loms,
    cart: Cart,
    _products: ProductStandIn,
}

impl Guarded {
    async fn start() -> Self {
        Self::start_with("shop.any-user").await
    }

    /// Starts the shop with this scope in the token by which cart identifies itself.
    async fn start_with(scope: &str) -> Self {
        let (issuer, servers) = (Issuer::new(), Servers::from_env());
        let products = ProductStandIn::start().unwrap();
        let loms = Loms::start(&servers, issuer.settings()).await;
        let mut env = issuer.settings();
        env.push(set("LOMS_TOKEN_FILE", issuer.token_file("cart", scope).display()));
        let cart = Cart::start(&servers, loms.grpc_port, products.base_url(), env).await;
        Self { issuer, loms, cart, _products: products }
    }

    fn user(&self, user: i64) -> String {
        self.issuer.token(&user.to_string(), "")
    }
}

/// Sends a request with a token, or with none.
async fn call(rest: &Rest, (method, path): (&Method, &str), body: &Value, token: &str) -> Answer {
    let mut request = rest.request(method.clone(), path);
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    if *method == Method::POST {
        request = request.body(body.to_string());
    }
    Answer::of(request).await
}

#[tokio::test]
async fn a_cart_is_open_to_its_user_and_to_services_alone() {
    let shop = Guarded::start().await;
    let rest = Rest::new(shop.cart.process.base_url());
    let (user, other, sku) = (new_user(), new_user(), shop.loms.stock_product(100).await);
    let line = format!("/user/{user}/cart/{sku}");
    let cart = format!("/user/{user}/cart");
    let (add, order) = (json!({ "count": 1 }), json!({ "user": user }));
    let none = Value::Null;
    let calls = [
        (Method::POST, line.as_str(), &add, 200),
        (Method::GET, cart.as_str(), &none, 200),
        (Method::POST, "/cart/checkout", &order, 200),
        (Method::DELETE, line.as_str(), &none, 204),
        (Method::DELETE, cart.as_str(), &none, 204),
    ];
    for (method, path, body, expected) in calls {
        let answer = async |token: &str| call(&rest, (&method, path), body, token).await;
        let refused = answer("").await;
        assert_eq!(refused.headers["www-authenticate"], "Bearer", "{method} {path}");
        refused.expect_cart_error(401, "UNAUTHENTICATED");
        answer("nonsense").await.expect_cart_error(401, "UNAUTHENTICATED");
        let strangers = shop.user(other);
        answer(&strangers).await.expect_cart_error(403, "PERMISSION_DENIED");
        let operator = shop.issuer.token("someone", "shop.operator");
        answer(&operator).await.expect_cart_error(403, "PERMISSION_DENIED");
        answer(&shop.user(user)).await.expect(expected);
    }
    let service = shop.issuer.token("a service", "shop.any-user");
    call(&rest, (&Method::POST, &line), &add, &service).await.expect(200);
    // Without a token: operations, the documentation, and what browsers ask first.
    for path in ["/livez", "/readyz", "/metrics", "/openapi.json", "/swagger-ui/"] {
        rest.get(path).await.expect(200);
    }
    let preflight = rest
        .request(Method::OPTIONS, &line)
        .header("Origin", "http://localhost:8089")
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization");
    Answer::of(preflight).await.expect(200);
}

#[tokio::test]
async fn an_order_is_open_to_its_user_to_services_and_to_operators() {
    let shop = Guarded::start().await;
    let rest = Rest::new(shop.loms.process.base_url());
    let (user, other, sku) = (new_user(), new_user(), shop.loms.stock(100).await);
    let (own, strangers) = (shop.user(user), shop.user(other));
    let operator = shop.issuer.token("staff", "shop.operator");
    let service = shop.issuer.token("cart", "shop.any-user");
    let none = Value::Null;
    let items = json!([{ "sku": sku, "count": 1 }]);
    let create = json!({ "order": { "user": user.to_string(), "items": items } });
    let id = async || {
        let answer = call(&rest, (&Method::POST, "/v1/orders"), &create, &own).await.expect(200);
        answer.json()["orderId"].as_str().unwrap().to_owned()
    };
    let (paid, cancelled) = (id().await, id().await);
    let restock = json!({ "count": 1, "idempotencyKey": "one" });
    let one = format!("/v1/orders/{paid}");
    let pay = format!("/v1/orders/{paid}/pay");
    let cancel = format!("/v1/orders/{cancelled}/cancel");
    let stock = format!("/v1/stocks/{sku}");
    let more = format!("/v1/stocks/{sku}/restock");
    // The status for another user, for the user, for a service, and for an operator.
    let calls = [
        (Method::POST, "/v1/orders", &create, [403, 200, 200, 403]),
        (Method::GET, one.as_str(), &none, [404, 200, 200, 200]),
        (Method::POST, pay.as_str(), &none, [404, 200, 200, 200]),
        (Method::POST, cancel.as_str(), &none, [404, 200, 200, 200]),
        (Method::GET, "/v1/orders", &none, [403, 403, 403, 200]),
        (Method::GET, stock.as_str(), &none, [200, 200, 200, 200]),
        (Method::POST, more.as_str(), &restock, [403, 403, 403, 200]),
    ];
    for (method, path, body, expected) in calls {
        let body = if body.is_null() { json!({}) } else { body.clone() };
        let answer = async |token: &str| call(&rest, (&method, path), &body, token).await;
        let refused = answer("").await.expect(401);
        assert_eq!(refused.json()["code"], 16, "{method} {path}");
        answer("nonsense").await.expect(401);
        for (token, expected) in [&strangers, &own, &service, &operator].into_iter().zip(expected) {
            answer(token).await.expect(expected);
        }
    }
}

#[tokio::test]
async fn grpc_calls_are_guarded_like_those_of_the_gateway() {
    let shop = Guarded::start().await;
    let (user, other, sku) = (new_user(), new_user(), shop.loms.stock(100).await);
    let as_caller =
        |token: &str| shop.loms.client().with("authorization", &format!("Bearer {token}"));
    let own = as_caller(&shop.user(user));
    let order = own.create(user, &[(sku, 1)]).await.unwrap();

    let codes = async |client: &LomsClient| {
        [
            client.create(user, &[(sku, 1)]).await.map(drop),
            client.info(order).await.map(drop),
            client.pay(order).await.map(drop),
            client.all().await.map(drop),
            client.available(sku).await.map(drop),
            client.restock(sku, 1, "one").await.map(drop),
        ]
        .map(|answer| answer.err().map_or(Code::Ok, |status| status.code()))
    };
    assert_eq!(codes(&shop.loms.client()).await, [Code::Unauthenticated; 6]);
    assert_eq!(codes(&as_caller("nonsense")).await, [Code::Unauthenticated; 6]);
    let (ok, missing, denied) = (Code::Ok, Code::NotFound, Code::PermissionDenied);
    let stranger = as_caller(&shop.user(other));
    assert_eq!(codes(&stranger).await, [denied, missing, missing, denied, ok, denied]);
    assert_eq!(stranger.cancel(order).await.unwrap_err().code(), missing);
    assert_eq!(codes(&own).await, [ok, ok, ok, denied, ok, denied]);
    let operator = as_caller(&shop.issuer.token("staff", "shop.operator"));
    assert_eq!(codes(&operator).await, [denied, ok, ok, ok, ok, ok]);
    let service = as_caller(&shop.issuer.token("cart", "shop.any-user"));
    assert_eq!(codes(&service).await, [ok, ok, ok, denied, ok, denied]);
    for caller in [&own, &operator, &service] {
        let another = own.create(user, &[(sku, 1)]).await.unwrap();
        caller.cancel(another).await.unwrap();
    }
}

#[tokio::test]
async fn an_order_is_created_with_the_token_of_its_user() {
    // cart's own token may not act for users, so only the token of the user can create the order.
    let shop = Guarded::start_with("").await;
    let (user, sku) = (new_user(), shop.loms.stock_product(100).await);
    let rest = Rest::new(shop.cart.process.base_url());
    let token = shop.user(user);
    let line = format!("/user/{user}/cart/{sku}");
    call(&rest, (&Method::POST, &line), &json!({ "count": 1 }), &token).await.expect(200);
    let order = json!({ "user": user });
    let order = call(&rest, (&Method::POST, "/cart/checkout"), &order, &token).await.expect(200);
    let order = order.json()["orderID"].as_i64().unwrap();
    let client = shop.loms.client().with("authorization", &format!("Bearer {token}"));
    assert_eq!(client.info(order).await.unwrap().user, user);
}

/// Fails if a route is added without a check: each one that is documented, except operations, needs a
/// token.
#[tokio::test]
async fn no_documented_route_answers_without_a_token() {
    let shop = Guarded::start().await;
    for (rest, count) in
        [(Rest::new(shop.cart.process.base_url()), 5), (Rest::new(shop.loms.process.base_url()), 8)]
    {
        let document = rest.get("/openapi.json").await.expect(200).json();
        assert!(document["components"]["securitySchemes"]["token"].is_object());
        let mut checked = 0;
        for (path, operations) in document["paths"].as_object().unwrap() {
            let is_guarded = !["/livez", "/readyz", "/metrics"].contains(&path.as_str());
            let path =
                path.replace("{user_id}", "1").replace("{sku_id}", "1").replace("{sku}", "1");
            let path = path.replace("{order_id}", "1000");
            for (method, described) in operations.as_object().unwrap() {
                let security = if is_guarded { json!([{ "token": [] }]) } else { json!(null) };
                assert_eq!(described["security"], security, "{method} {path}");
                if is_guarded {
                    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                    call(&rest, (&method, &path), &json!({}), "").await.expect(401);
                    checked += 1;
                }
            }
        }
        assert_eq!(checked, count);
    }
}
