//! The channel that sends emails over SMTP.

use std::time::{Duration, SystemTime};

use futures::future::LocalBoxFuture;
use lettre::address::AddressError;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use service_kit::settings::{HostPort, Secret};
use service_kit::tls::PemFile;
use thiserror::Error;

use super::text::{Language, Texts};
use super::{Channel, ChannelError, Notification};

/// The placeholder for the user's id in the recipient.
pub const USER_ID: &str = "{user_id}";
/// How many emails are sent at once, each over a connection of its own.
const CONCURRENCY: usize = 4;

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
    /// The certificate authorities to trust. The system's if `None`.
    pub ca: Option<PemFile>,
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
    /// How long connecting may take.
    pub timeout: Duration,
}

/// Why emails cannot be set up.
#[derive(Debug, Error)]
pub enum EmailSetupError {
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
    settings: EmailSettings,
    /// Set unless the connection is not encrypted.
    tls: Option<TlsParameters>,
    from: Mailbox,
    texts: Texts,
}

impl EmailChannel {
    /// A channel over one SMTP server. It connects for each email.
    ///
    /// # Errors
    /// A file, an address or a certificate cannot be used.
    pub fn new(settings: &EmailSettings) -> Result<Self, EmailSetupError> {
        Ok(Self {
            tls: tls(settings)?,
            from: settings.from.parse()?,
            texts: Texts::new(settings.language)?,
            settings: settings.clone(),
        })
    }

    fn message(&self, notification: &Notification) -> Result<Message, ChannelError> {
        let refused = |reason: String| ChannelError::Refused { reason };
        let event = &notification.event;
        let text = self.texts.about(event).map_err(|error| refused(error.to_string()))?;
        let to = self.settings.to.replace(USER_ID, &event.user_id.to_string());
        let to: Mailbox = to.parse().map_err(|error| refused(format!("{to:?}: {error}")))?;
        // The id is the same at each attempt. Mail servers and mail clients recognise duplicates by
        // it.
        let id = format!("<{}@{}>", event.event_id, self.from.email.domain());
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(text.subject)
            .date(SystemTime::from(event.occurred_at).max(SystemTime::UNIX_EPOCH))
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
        // A connection that was abandoned in the middle of a mail would take the replies to that
        // mail for those to the next one. So each mail has its own.
        let mut connection = self.connect().await.map_err(|error| {
            // Nothing was said about this mail, so the code does not matter.
            ChannelError::unavailable(reason(&error))
        })?;
        let sent = connection.send(message.envelope(), &message.formatted()).await;
        let sent = sent.map(drop).map_err(|error| understand(&error));
        connection.abort().await;
        sent
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let EmailSettings { server, tls, user, password, timeout, .. } = &self.settings;
        let hello = ClientId::default();
        let implicit = self.tls.clone().filter(|_| *tls == SmtpTls::Implicit);
        let address = (server.host.as_str(), server.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(*timeout), &hello, implicit, None)
                .await?;
        if let Some(parameters) = self.tls.clone().filter(|_| *tls == SmtpTls::StartTls) {
            connection.starttls(parameters, &hello).await?;
        }
        if !user.is_empty() {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        Ok(connection)
    }
}

impl Channel for EmailChannel {
    fn name(&self) -> &'static str {
        "email"
    }

    fn concurrency(&self) -> usize {
        CONCURRENCY
    }

    fn send<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> LocalBoxFuture<'a, Result<(), ChannelError>> {
        Box::pin(self.mail(notification))
    }
}

/// A code 5xx permanently rejects this email.
fn understand(error: &SmtpError) -> ChannelError {
    if error.is_permanent() {
        ChannelError::Refused { reason: reason(error) }
    } else {
        ChannelError::unavailable(reason(error))
    }
}

fn reason(error: &SmtpError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn tls(settings: &EmailSettings) -> Result<Option<TlsParameters>, EmailSetupError> {
    if settings.tls == SmtpTls::None {
        return Ok(None);
    }
    let mut parameters = TlsParameters::builder(settings.server.host.clone());
    if let Some(ca) = &settings.ca {
        parameters = parameters
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(ca.bytes())?);
    }
    Ok(Some(parameters.build_rustls()?))
}
