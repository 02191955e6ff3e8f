//! Asks a running service whether it is ready.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::Client;

use super::HttpServerSettings;

const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the service that runs on this machine with these settings.
///
/// # Errors
/// It is not ready or does not answer, or its port is encrypted and it has no port for operations.
pub(crate) async fn check_ready(settings: &HttpServerSettings) -> anyhow::Result<()> {
    let address = match (settings.operations, &settings.tls) {
        (Some(address), _) => address,
        (None, None) => settings.address,
        (None, Some(_)) => bail!("with TLS_CERT_FILE, OPERATIONS_HOST_PORT is needed to ask"),
    };
    let url = format!("http://{}/readyz", address.on_this_machine());
    let client = Client::builder().no_proxy().tls_certs_only([]).timeout(TIMEOUT).build()?;
    let answer = client.get(&url).send().await.with_context(|| format!("no answer from {url}"))?;
    let status = answer.status();
    if !status.is_success() {
        bail!("not ready: {url} answered {status}: {}", answer.text().await.unwrap_or_default());
    }
    Ok(())
}
