//! One Swagger UI page for all services. It uses the same configuration as the container.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Result;
use utoipa_swagger_ui::Config;

/// The path of the page's configuration.
const CONFIGURATION: &str = "/swagger-config.json";

struct Page {
    configuration: String,
    assets: Arc<Config<'static>>,
}

/// A server on `listener` that serves Swagger UI with `configuration`, which is JSON. Must be
/// called within an actix system, whose signal handling it leaves alone.
///
/// # Errors
/// If the listener cannot be used.
pub fn serve(listener: TcpListener, configuration: String) -> Result<Server> {
    let assets = Arc::new(Config::default().config_url(CONFIGURATION));
    let page = web::Data::new(Page { configuration, assets });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(page.clone())
            .route(CONFIGURATION, web::get().to(configured))
            .route("/readyz", web::get().to(HttpResponse::Ok))
            .route("/{file:.*}", web::get().to(asset))
    })
    .workers(1)
    .shutdown_timeout(1)
    .disable_signals()
    .listen(listener)?;
    Ok(server.run())
}

async fn configured(page: web::Data<Page>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(page.configuration.clone())
}

async fn asset(page: web::Data<Page>, file: web::Path<String>) -> HttpResponse {
    match utoipa_swagger_ui::serve(&file, Arc::clone(&page.assets)) {
        Ok(Some(file)) => {
            HttpResponse::Ok().content_type(file.content_type).body(file.bytes.into_owned())
        }
        Ok(None) => HttpResponse::NotFound().finish(),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}
