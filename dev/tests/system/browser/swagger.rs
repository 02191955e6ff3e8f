//! The Swagger UI page of all services: fills a cart and checks it out by clicking.

use std::path::Path;

use dev::stack::program::Program;
use dev::testing::http_client;
use tempfile::TempDir;

use crate::support::{
    Browser, Env, SOON, Servers, Settings, Shop, eventually, free_port, keep_picture, new_user, set,
};

/// Opens one call, fills it in and executes it. Returns the body of its 200 answer.
async fn call(
    browser: &Browser,
    operation: &str,
    parameters: &[(&str, String)],
    body: Option<String>,
) -> String {
    let block = format!("#operations-{operation}");
    browser.find(&block).await;
    assert!(!browser.has(".errors-wrapper").await, "the page complains about the document");
    browser.click(&format!("{block} .opblock-summary-control")).await;
    for (name, value) in parameters {
        browser.write(&format!("{block} tr[data-param-name='{name}'] input"), value).await;
    }
    if let Some(body) = body {
        browser.write(&format!("{block} .body-param__text"), &body).await;
    }
    browser.click(&format!("{block} .execute")).await;
    let answered = format!("{block} .live-responses-table .response-col_status");
    browser.text(&answered, |status| status.starts_with("200")).await;
    browser
        .text(&format!("{block} .live-responses-table .response-col_description pre"), |text| {
            !text.is_empty()
        })
        .await
}

#[tokio::test]
async fn a_cart_is_filled_and_checked_out_by_clicking_on_one_page_of_all_services() {
    let port = free_port();
    let page = format!("http://localhost:{port}");
    let allowed: Env = vec![set("SWAGGER_FOR_CORS_ALLOWED_URL", &page)];
    let shop = Shop::start(&Servers::from_env(), Settings::of_all(&allowed)).await;
    let (folder, user) = (tempfile::tempdir().unwrap(), new_user());
    let sku = shop.loms.stock_product(10).await;
    let _page = start_page(&shop, port, &folder).await;

    let browser = Browser::open(1280, 1800).await;
    browser.goto(&page).await;
    let user_id = ("user_id", user.to_string());
    let add = [user_id.clone(), ("sku_id", sku.to_string())];
    call(&browser, "cart-addItem", &add, Some(r#"{"count": 2}"#.to_owned())).await;
    let shown = call(&browser, "cart-showCart", &[user_id], None).await;
    assert!(shown.contains(&format!("\"sku_id\": {sku}")), "{shown}");
    let checkout =
        call(&browser, "cart-checkout", &[], Some(format!("{{\"user\": {user}}}"))).await;
    let order: serde_json::Value = serde_json::from_str(&checkout).unwrap();
    let order = order["orderID"].as_i64().unwrap();
    for opened in ["cart-addItem", "cart-showCart"] {
        browser.click(&format!("#operations-{opened} .opblock-summary-control")).await;
    }
    browser.scroll_to(".download-url-wrapper select").await;
    keep_picture(&browser, "swagger-ui.png").await;

    browser.choose(".download-url-wrapper select", "loms").await;
    let order_id = [("order_id", order.to_string())];
    let info = call(&browser, "orders-OrderInfo", &order_id, None).await;
    assert!(
        info.contains("AWAITING_PAYMENT") && info.contains(&format!("\"user\": \"{user}\"")),
        "{info}"
    );
    assert_eq!(shop.loms.client().info(order).await.unwrap().items.len(), 1);

    browser.choose(".download-url-wrapper select", "notifier").await;
    let ready = call(&browser, "operations-ready", &[], None).await;
    assert!(ready.contains("\"ready\": true"), "{ready}");
}

/// Starts the page of the local stack with this shop's addresses in its configuration.
async fn start_page(shop: &Shop, port: u16, folder: &TempDir) -> dev::stack::process::Process {
    let original =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/swagger-ui/swagger-config.json");
    let mut text = std::fs::read_to_string(original).unwrap();
    let services = [
        ("8082", &shop.cart.process),
        ("8081", &shop.loms.process),
        ("8083", &shop.notifier.process),
    ];
    for (default, process) in services {
        let replaced = text.replace(&format!("http://localhost:{default}"), &process.base_url());
        assert_ne!(replaced, text, "the page does not name port {default}");
        text = replaced;
    }
    let config = folder.path().join("config.json");
    std::fs::write(&config, text).unwrap();
    let path = Servers::from_env().bin_dir.join("swagger-page");
    let program = Program::new("swagger-page", path, folder.path().join("log"));
    let page = program.args(["--port", &port.to_string(), "--config"]).arg(config).start().unwrap();
    let ready = format!("http://localhost:{port}/readyz");
    eventually(SOON, "the page is served", async || http_client().get(&ready).send().await).await;
    page
}
