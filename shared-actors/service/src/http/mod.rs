//! The HTTP front-end of every service: server, middleware, operational routes, and errors in the
//! service's own format.
//!
//! Routes belong to the services, which use `web::resource(path).route(web::post().to(handler))`. A
//! resource knows its methods, so a wrong method gets 405 with `Allow`. With the attribute macros,
//! it would get 404.

mod app;
mod asked;
mod body;
mod caller;
mod cors;
mod counted;
mod error;
mod front;
mod json_number;
mod operations;
mod ready;
mod retry_after;
mod server;
mod settings;
mod span;

pub use body::JsonBody;
pub use cors::{AllowedOrigins, AllowedOriginsError};
pub use error::{ApiError, ErrorBody, ErrorParts};
pub use json_number::whole_number;
pub(crate) use ready::check_ready;
pub use retry_after::retry_after;
pub use server::{HttpFrontEnd, HttpService, serve};
pub use settings::HttpServerSettings;
