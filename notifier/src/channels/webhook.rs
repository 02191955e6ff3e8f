//! The channel that posts events to a URL, signed as the specification Standard Webhooks describes:
//! <https://www.standardwebhooks.com>.

use std::fmt;
use std::time::Duration;

use chrono::Utc;
use futures::future::LocalBoxFuture;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Certificate, Client, Response, StatusCode, Url, redirect};
use service_kit::settings::Secret;
use service_kit::tls::PemFile;
use shared_actors::trace::TraceContext;
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook, WebhookError,
};

use super::public_address::PublicAddresses;
use super::{Channel, ChannelError, Notification};

/// An idle connection is probed after `KEEP_ALIVE` and closed after `IDLE_TIMEOUT`.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum number of bytes that are read from an error response. They become the reason.
const MAX_ANSWER_BYTES: usize = 4 * 1024;

/// Where to post events, and how to sign them.
#[derive(Clone)]
pub struct WebhookSettings {
    /// The receiver.
    pub url: Url,
    /// The certificate authorities to trust. The system's if `None`.
    pub ca: Option<PemFile>,
    /// The key of the signature: `whsec_` and base64.
    pub secret: Secret,
    /// Whether the receiver may have a private address. Otherwise an address that is not public is
    /// refused, because a URL that somebody else controls must not reach into the network.
    pub allow_private: bool,
    /// How long connecting may take.
    pub timeout: Duration,
}

/// Shows only the host of the URL, because the rest may contain secrets.
impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        f.debug_struct("WebhookSettings").field("host", &host).finish_non_exhaustive()
    }
}

impl WebhookSettings {
    /// Whether a text is a key of the length that the specification demands: 24 to 64 bytes.
    pub fn is_secret(text: &str) -> bool {
        let base64 = text.strip_prefix("whsec_").unwrap_or_default().trim_end_matches('=');
        (32..=86).contains(&base64.len()) && Webhook::new(text).is_ok()
    }
}

/// Posts each event as JSON to one URL.
pub struct WebhookChannel {
    client: Client,
    url: Url,
    signer: Webhook,
}

impl WebhookChannel {
    /// A channel to one receiver.
    ///
    /// # Errors
    /// The HTTP client cannot be built, or the secret is not base64.
    pub fn new(settings: &WebhookSettings) -> Result<Self, WebhookSetupError> {
        let mut builder = Client::builder()
            .connect_timeout(settings.timeout)
            .tcp_user_timeout(settings.timeout)
            .redirect(redirect::Policy::none())
            // A proxy would resolve the name itself and bypass the check for public addresses.
            .no_proxy()
            .tcp_nodelay(true)
            .tcp_keepalive(KEEP_ALIVE)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("shop-notifier/", env!("CARGO_PKG_VERSION")));
        if let Some(ca) = &settings.ca {
            builder = builder.tls_certs_only(Certificate::from_pem_bundle(ca.bytes())?);
        }
        if !settings.allow_private {
            builder = builder.dns_resolver(PublicAddresses);
        }
        let signer = Webhook::new(settings.secret.expose())?;
        Ok(Self { client: builder.build()?, url: settings.url.clone(), signer })
    }

    async fn post(&self, notification: &Notification) -> Result<(), ChannelError> {
        let id = notification.event.event_id.to_string();
        let timestamp = Utc::now().timestamp();
        let signature = self
            .signer
            .sign(&id, timestamp, &notification.payload)
            .map_err(|error| ChannelError::Refused { reason: error.to_string() })?;
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(HEADER_WEBHOOK_ID, id)
            .header(HEADER_WEBHOOK_TIMESTAMP, timestamp)
            .header(HEADER_WEBHOOK_SIGNATURE, signature)
            .body(notification.payload.clone());
        // Anybody may have written the record.
        let traceparent = notification.traceparent.as_deref();
        if let Some(traceparent) = traceparent.filter(|text| TraceContext::parse(text).is_some()) {
            request = request.header("traceparent", traceparent);
        }
        match request.send().await {
            Ok(response) => understand(response).await,
            Err(error) if error.is_builder() => {
                Err(ChannelError::Refused { reason: cause(&error) })
            }
            Err(error) => Err(ChannelError::unavailable(cause(&error))),
        }
    }
}

impl Channel for WebhookChannel {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn send<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> LocalBoxFuture<'a, Result<(), ChannelError>> {
        Box::pin(self.post(notification))
    }
}

/// Why a webhook cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum WebhookSetupError {
    /// The HTTP client cannot be built.
    #[error(transparent)]
    Client(#[from] reqwest::Error),
    /// The secret cannot be used.
    #[error(transparent)]
    Secret(#[from] WebhookError),
}

async fn understand(response: Response) -> Result<(), ChannelError> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(service_kit::http::retry_after);
    let passes = status.is_server_error()
        || retry_after.is_some()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    if passes {
        return Err(ChannelError::Unavailable { reason: status.to_string(), retry_after });
    }
    if status.is_redirection() {
        let reason = format!("{status}: redirects are not followed");
        return Err(ChannelError::Refused { reason });
    }
    let reason = match beginning(response).await {
        text if text.is_empty() => status.to_string(),
        text => format!("{status}: {text}"),
    };
    Err(ChannelError::Refused { reason })
}

/// The beginning of an answer's body. If the connection breaks, what has arrived is used.
async fn beginning(mut response: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= MAX_ANSWER_BYTES {
            body.truncate(MAX_ANSWER_BYTES);
            break;
        }
    }
    String::from_utf8_lossy(&body).trim().to_owned()
}

/// The innermost error, because the outermost only says that a request failed.
fn cause(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.last().map_or_else(|| error.to_string(), ToString::to_string)
}
