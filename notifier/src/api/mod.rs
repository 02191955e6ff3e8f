//! The HTTP port. It serves only operations, because the notifier has no API.

mod errors;
mod openapi;

pub use errors::error_body;
pub use openapi::document;
