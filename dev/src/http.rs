//! The HTTP client of the stack and of the tests, and code that the stack's own servers share.

use std::sync::OnceLock;
use std::time::Duration;

use actix_web::dev::Server;
use anyhow::Result;
use reqwest::Client;

use crate::stack::signals::Interruption;

/// A client with a 30 s timeout. It ignores the environment's proxy settings and shares its
/// connections.
///
/// # Panics
/// Never in practice: the client is built from constants.
pub fn client() -> Client {
    static TLS: OnceLock<()> = OnceLock::new();
    TLS.get_or_init(|| {
        // An error means that a provider is already installed, which is just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let client = Client::builder()
        .no_proxy()
        // Everything here is plain HTTP, and reading the machine's certificates takes long.
        .tls_certs_only([])
        .timeout(Duration::from_secs(30))
        .build();
    #[expect(clippy::expect_used, reason = "the client is built of constants")]
    client.expect("a client without any setting of the environment")
}

/// Serves until a signal arrives, then completes the requests in progress. Must be called within an
/// actix system.
///
/// # Errors
/// If signals cannot be listened to, or the server fails.
pub async fn serve_until_interrupted(server: Server) -> Result<()> {
    let mut interruption = Interruption::listen()?;
    let handle = server.handle();
    actix_web::rt::spawn(async move {
        interruption.next().await;
        handle.stop(true).await;
    });
    Ok(server.await?)
}
