//! The REST front-end: parses requests into domain values, calls the use cases and maps their
//! results. It contains no cart rules and no SQL.

mod body;
mod errors;
mod handlers;
mod members;
mod openapi;

use actix_web::web::{self, Data, ServiceConfig};

use crate::carts::Carts;

pub use errors::error_body;
pub use openapi::openapi;

/// Registers the routes of carts.
pub fn routes(config: &mut ServiceConfig, carts: &Carts) {
    config
        .app_data(Data::new(carts.clone()))
        .service(
            web::resource("/user/{user_id}/cart")
                .route(web::get().to(handlers::show_cart))
                .route(web::delete().to(handlers::clear_cart)),
        )
        .service(
            web::resource("/user/{user_id}/cart/{sku_id}")
                .route(web::post().to(handlers::add_item))
                .route(web::delete().to(handlers::remove_item)),
        )
        .service(web::resource("/cart/checkout").route(web::post().to(handlers::checkout)));
}
