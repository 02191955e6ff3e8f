//! What the HTTP port shows: operations only, since the notifier has no requests of its own.

mod errors;
mod openapi;

pub use errors::error_body;
pub use openapi::document;
