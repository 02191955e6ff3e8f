//! The channel that sends emails over SMTP.

use std::time::Duration;

use futures::future::LocalBoxFuture;
use lettre::address::AddressError;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{Error as SmtpError, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use service_kit::settings::{HostPort, Secret};
use shared_actors::fits;
use thiserror::Error;

use super::text::{Language, Texts};
use super::{Channel, ChannelError, Notification};

/// The placeholder for the user's id in the recipient.
pub const USER_ID: &str = "{user_id}";
/// How many emails are sent at once, each over a connection of its own.
const CONCURRENCY: u32 = 4;
/// An idle connection is closed after this time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// The connection starts in plain text, and is encrypted before anything is sent.
    StartTls,
    /// The connection is encrypted from its start.
    Implicit,
    /// The connection is not encrypted.
    None,
}

impl std::str::FromStr for SmtpTls {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "starttls" => Ok(Self::StartTls),
            "implicit" => Ok(Self::Implicit),
            "none" => Ok(Self::None),
            _ => Err("starttls, implicit or none"),
        }
    }
}

/// The mail server, the sender and the recipient.
#[derive(Clone, Debug)]
pub struct EmailSettings {
    /// The SMTP server.
    pub server: HostPort,
    /// How the connection is encrypted.
    pub tls: SmtpTls,
    /// A PEM file with additional CA certificates to trust.
    pub ca_file: Option<String>,
    /// The user name. Empty if the server needs no login.
    pub user: String,
    /// The password.
    pub password: Secret,
    /// The sender.
    pub from: String,
    /// The recipient, with [`USER_ID`] for the id of the user.
    pub to: String,
    /// The language of the texts.
    pub language: Language,
    /// How long connecting, and each command, may take.
    pub timeout: Duration,
}

/// Why emails cannot be set up.
#[derive(Debug, Error)]
pub enum EmailSetupError {
    /// The file with certificates cannot be read.
    #[error("EMAIL_CA_FILE {file}: {error}")]
    File {
        /// The path of the file.
        file: String,
        /// Why it cannot be read.
        error: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("cannot load EMAIL_CA_FILE or the system's CA certificates: {0}")]
    Tls(#[from] SmtpError),
    /// The sender is not a valid address.
    #[error("EMAIL_FROM: {0}")]
    From(#[from] AddressError),
    /// A template is wrong.
    #[error(transparent)]
    Template(#[from] minijinja::Error),
}

/// Sends one email per event.
pub struct EmailChannel {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: String,
    texts: Texts,
}

impl EmailChannel {
    /// A channel over one SMTP server. It connects on first use.
    ///
    /// # Errors
    /// A file, an address or a certificate cannot be used.
    pub fn new(settings: &EmailSettings) -> Result<Self, EmailSetupError> {
        let EmailSettings { server, user, password, .. } = settings;
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&*server.host)
            .port(server.port)
            .timeout(Some(settings.timeout))
            .tls(tls(settings)?)
            .pool_config(PoolConfig::new().max_size(CONCURRENCY).idle_timeout(IDLE_TIMEOUT));
        if !user.is_empty() {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            builder = builder.credentials(credentials);
        }
        Ok(Self {
            transport: builder.build(),
            from: settings.from.parse()?,
            to: settings.to.clone(),
            texts: Texts::new(settings.language)?,
        })
    }

    fn message(&self, notification: &Notification) -> Result<Message, ChannelError> {
        let refused = |reason: String| ChannelError::Refused { reason };
        let event = &notification.event;
        let text = self.texts.about(event).map_err(|error| refused(error.to_string()))?;
        let to = self.to.replace(USER_ID, &event.user_id.to_string());
        let to: Mailbox = to.parse().map_err(|error| refused(format!("{to:?}: {error}")))?;
        // The id is the same at each attempt. Mail servers and mail clients recognise duplicates by
        // it.
        let id = format!("<{}@{}>", event.event_id, self.from.email.domain());
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(text.subject)
            .date(event.occurred_at.into())
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN)
            .body(text.body)
            .map_err(|error| refused(error.to_string()))?;
        // RFC 3834: vacation responders do not answer this.
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        message.headers_mut().insert_raw(HeaderValue::new(automatic, "auto-generated".to_owned()));
        Ok(message)
    }

    async fn mail(&self, notification: &Notification) -> Result<(), ChannelError> {
        let message = self.message(notification)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(understand(&error)),
        }
    }
}

impl Channel for EmailChannel {
    fn name(&self) -> &'static str {
        "email"
    }

    fn concurrency(&self) -> usize {
        fits(CONCURRENCY)
    }

    fn send<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> LocalBoxFuture<'a, Result<(), ChannelError>> {
        Box::pin(self.mail(notification))
    }
}

/// A code 5xx permanently rejects this email. A code 53x rejects our login instead, so every email
/// would fail: the channel counts as unavailable.
fn understand(error: &SmtpError) -> ChannelError {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let reason = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
    let about_the_login = error.status().is_some_and(|code| code.to_string().starts_with("53"));
    if error.is_permanent() && !about_the_login {
        ChannelError::Refused { reason }
    } else {
        ChannelError::unavailable(reason)
    }
}

fn tls(settings: &EmailSettings) -> Result<Tls, EmailSetupError> {
    if settings.tls == SmtpTls::None {
        return Ok(Tls::None);
    }
    let mut parameters = TlsParameters::builder(settings.server.host.clone());
    if let Some(file) = &settings.ca_file {
        let pem = std::fs::read(file)
            .map_err(|error| EmailSetupError::File { file: file.clone(), error })?;
        parameters = parameters.add_root_certificate(Certificate::from_pem(&pem)?);
    }
    let parameters = parameters.build_rustls()?;
    Ok(match settings.tls {
        SmtpTls::Implicit => Tls::Wrapper(parameters),
        SmtpTls::StartTls | SmtpTls::None => Tls::Required(parameters),
    })
}
