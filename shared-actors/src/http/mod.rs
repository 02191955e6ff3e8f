//! The HTTP front-end of every service: server, middleware, operational routes, errors in the service's own shape.
//!
//! Routes belong to the services. They use `web::resource(path).route(web::post().to(handler))`: a resource knows its
//! methods, so that a wrong one is answered with 405 and `Allow`; the attribute macros would answer 404.

mod app;
mod body;
mod cors;
mod counted;
mod error;
mod front;
mod json_number;
mod operations;
mod server;
mod settings;
mod span;

pub use body::JsonBody;
pub use cors::{AllowedOrigins, AllowedOriginsError};
pub use error::{ApiError, ErrorBody, ErrorParts};
pub use json_number::whole_number;
pub use server::{HttpFrontEnd, HttpService, serve};
pub use settings::HttpServerSettings;
