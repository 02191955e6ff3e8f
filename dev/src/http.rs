//! The HTTP client of the stack and of the tests.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::Client;

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
