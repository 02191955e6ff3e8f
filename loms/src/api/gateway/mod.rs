//! The REST gateway: the gRPC calls as JSON under `/v1`, following the conventions of grpc-gateway.
//!
//! It makes the same calls as the gRPC front-end, within the process; nothing goes over the
//! network.

mod error;
mod handlers;
mod json;
mod openapi;

use actix_web::web::{self, ServiceConfig};

use crate::orders::Orders;
use crate::stock::Stocks;

use super::calls::Calls;

pub use error::error_body;
pub use openapi::openapi;

/// The use cases that the gateway calls. Each worker gets a clone.
#[derive(Clone)]
pub struct GatewayState {
    /// Calls about orders.
    pub orders: Orders,
    /// Calls about stock.
    pub stocks: Stocks,
}

/// Mounts the gateway's routes.
pub fn configure(cfg: &mut ServiceConfig, state: &GatewayState) {
    let calls = Calls::new(state.orders.clone(), state.stocks.clone());
    cfg.service(
        web::resource("/order-event.schema.json")
            .route(web::get().to(handlers::order_event_schema)),
    );
    cfg.service(
        web::scope("/v1")
            .app_data(web::Data::new(calls))
            .service(
                web::resource("/orders")
                    .route(web::post().to(handlers::order_create))
                    .route(web::get().to(handlers::orders_all)),
            )
            .service(web::resource("/orders/{order_id}").route(web::get().to(handlers::order_info)))
            .service(
                web::resource("/orders/{order_id}/pay").route(web::post().to(handlers::order_pay)),
            )
            .service(
                web::resource("/orders/{order_id}/cancel")
                    .route(web::post().to(handlers::order_cancel)),
            )
            .service(web::resource("/stocks/{sku}").route(web::get().to(handlers::stocks_info)))
            .service(
                web::resource("/stocks/{sku}/restock")
                    .route(web::post().to(handlers::stocks_restock)),
            ),
    );
}
