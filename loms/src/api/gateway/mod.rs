//! The REST gateway: the gRPC calls as JSON under `/v1`, by the conventions of grpc-gateway.
//!
//! It makes the same calls as the gRPC front-end, in this process; nothing of it goes over the network.

mod error;
mod handlers;
mod json;
mod openapi;
mod origins;

use actix_cors::Cors;
use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};

use crate::orders::Orders;
use crate::stock::Stocks;

use super::calls::{Calls, IDEMPOTENCY_KEY};

pub use error::error_body;
pub use openapi::openapi;
pub use origins::AllowedOrigins;

/// What the gateway works with; a clone goes to each worker.
#[derive(Clone)]
pub struct GatewayState {
    /// Calls about orders.
    pub orders: Orders,
    /// Calls about stock.
    pub stocks: Stocks,
    /// Pages of which origins may call from a browser.
    pub allowed_origins: AllowedOrigins,
}

/// Mounts the gateway's routes.
pub fn configure(cfg: &mut ServiceConfig, state: &GatewayState) {
    let calls = Calls::new(state.orders.clone(), state.stocks.clone());
    cfg.service(
        web::scope("/v1")
            .app_data(web::Data::new(calls))
            .wrap(cors(&state.allowed_origins))
            .service(
                web::resource("/orders")
                    .route(web::post().to(handlers::order_create))
                    .route(web::get().to(handlers::orders_all)),
            )
            .service(web::resource("/orders/{order_id}").route(web::get().to(handlers::order_info)))
            .service(web::resource("/orders/{order_id}/pay").route(web::post().to(handlers::order_pay)))
            .service(web::resource("/orders/{order_id}/cancel").route(web::post().to(handlers::order_cancel)))
            .service(web::resource("/stocks/{sku}").route(web::get().to(handlers::stocks_info))),
    );
}

fn cors(origins: &AllowedOrigins) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST"])
        .allowed_headers([
            header::CONTENT_TYPE.as_str(),
            header::ACCEPT.as_str(),
            IDEMPOTENCY_KEY,
            "traceparent",
        ])
        .expose_headers([header::RETRY_AFTER])
        .max_age(3600);
    origins.iter().fold(cors, Cors::allowed_origin)
}
