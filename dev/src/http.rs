//! The HTTP client of the stack and of the tests, and what the stack's own servers share.

use std::sync::OnceLock;
use std::time::Duration;

use actix_web::dev::Server;
use anyhow::Result;
use reqwest::Client;

use crate::stack::signals::Interruption;

/// A client that gives up after 30 s, follows no proxy of the environment and shares its connections.
///
/// # Panics
/// Never in practice: the client is built of constants.
pub fn client() -> Client {
    static TLS: OnceLock<()> = OnceLock::new();
    TLS.get_or_init(|| {
        // An error says that a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build();
    #[expect(clippy::expect_used, reason = "the client is built of constants")]
    client.expect("a client without any setting of the environment")
}

/// Serves until a signal asks for the end, then finishes what is being answered. Must be called within an actix system.
///
/// # Errors
/// Signals cannot be listened to, or the server failed.
pub async fn serve_until_interrupted(server: Server) -> Result<()> {
    let mut interruption = Interruption::listen()?;
    let handle = server.handle();
    actix_web::rt::spawn(async move {
        interruption.next().await;
        handle.stop(true).await;
    });
    Ok(server.await?)
}
