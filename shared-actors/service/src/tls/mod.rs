//! TLS, with rustls: the certificate of listeners, and what clients trust.

mod client;
mod listener;
mod pem;

pub use client::ClientTls;
pub(crate) use listener::Acceptor;
pub use listener::ListenerTls;
pub use pem::PemFile;
