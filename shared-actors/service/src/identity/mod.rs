//! Who calls: JSON Web Tokens that a client sends as `Authorization: Bearer …`, over HTTP and gRPC.
//!
//! Without [`IdentitySettings`], every caller may do everything.

mod accepted;
mod caller;
mod credentials;
mod error;
mod keys;
mod settings;
mod verifier;

pub use caller::Caller;
pub use credentials::TokenFile;
pub use error::AuthError;
pub use settings::{IdentitySettings, KeySource};
pub use verifier::Verifier;
