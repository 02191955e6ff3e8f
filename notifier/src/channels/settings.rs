//! The settings of the channels: which are enabled, for which states, and how they work.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use service_kit::settings::{HostPort, Reader};
use service_kit::tls::PemFile;
use thiserror::Error;

use super::email::{EmailChannel, EmailSettings, EmailSetupError, SmtpTls, USER_ID};
use super::public_address::is_public;
use super::text::Language;
use super::webhook::{WebhookChannel, WebhookSettings, WebhookSetupError};
use super::{Channel, EnabledChannel, LogChannel};
use crate::events::OrderState;

const CHANNELS: &str = "NOTIFICATION_CHANNELS";

/// Which channels are enabled, and how they work.
#[derive(Clone, Debug)]
pub struct ChannelSettings {
    log: Option<Vec<OrderState>>,
    webhook: Option<(WebhookSettings, Vec<OrderState>)>,
    email: Option<(EmailSettings, Vec<OrderState>)>,
}

/// Why a channel cannot be set up.
#[derive(Debug, Error)]
pub enum ChannelSetupError {
    /// The webhook cannot be set up.
    #[error("the webhook channel: {0}")]
    Webhook(#[from] WebhookSetupError),
    /// Emails cannot be set up.
    #[error("the email channel: {0}")]
    Email(#[from] EmailSetupError),
}

impl ChannelSettings {
    /// Reads the settings. `timeout` is how long an attempt may take. Invalid values are reported
    /// through the reader, those of a channel only if it is enabled.
    pub fn read(reader: &mut Reader, timeout: Duration) -> Self {
        let names = reader.list(CHANNELS, "log");
        let known = ["log", "webhook", "email"];
        if !names.iter().all(|name| known.contains(&name.as_str())) {
            reader.reject(CHANNELS, "one or more of log, webhook, email, separated by commas");
        }
        let enabled = |channel: &str| names.iter().any(|name| name == channel);
        let log = states(reader, "LOG_STATES");
        let webhook = read_webhook(reader, timeout, enabled("webhook"));
        let email = read_email(reader, timeout, enabled("email"));
        Self {
            log: enabled("log").then_some(log),
            webhook: webhook.filter(|_| enabled("webhook")),
            email: email.filter(|_| enabled("email")),
        }
    }

    /// The enabled channels.
    ///
    /// # Errors
    /// A channel cannot be set up.
    pub fn channels(&self) -> Result<Vec<EnabledChannel>, ChannelSetupError> {
        fn of(channel: impl Channel, states: &[OrderState]) -> EnabledChannel {
            EnabledChannel { channel: Arc::new(channel), states: states.to_vec() }
        }
        let mut channels = Vec::new();
        if let Some(states) = &self.log {
            channels.push(of(LogChannel, states));
        }
        if let Some((settings, states)) = &self.webhook {
            channels.push(of(WebhookChannel::new(settings)?, states));
        }
        if let Some((settings, states)) = &self.email {
            channels.push(of(EmailChannel::new(settings)?, states));
        }
        Ok(channels)
    }
}

/// The states that a channel notifies about; all by default.
fn states(reader: &mut Reader, name: &str) -> Vec<OrderState> {
    let all = OrderState::ALL.map(OrderState::as_str).join(",");
    let names = reader.list(name, &all);
    let found = |text: &String| OrderState::ALL.into_iter().find(|state| state.as_str() == text);
    let states: Vec<OrderState> = names.iter().filter_map(found).collect();
    if states.len() < names.len() {
        reader.reject(name, format!("one or more of {all}"));
    }
    states
}

fn read_webhook(
    reader: &mut Reader,
    timeout: Duration,
    enabled: bool,
) -> Option<(WebhookSettings, Vec<OrderState>)> {
    // It may contain a password or a token.
    let url = reader.secret("WEBHOOK_URL", "");
    let secret = reader.secret("WEBHOOK_SECRET", "");
    let allow_private = reader.flag("WEBHOOK_ALLOW_PRIVATE", false);
    let ca = PemFile::certificates(reader, "WEBHOOK_CA_FILE");
    let states = states(reader, "WEBHOOK_STATES");
    if !enabled {
        return None;
    }
    if !WebhookSettings::is_secret(secret.expose()) {
        let expected = "whsec_ followed by 24 to 64 bytes in base64; generate one with `echo whsec_$(openssl rand -base64 32)`";
        reader.reject_secretly("WEBHOOK_SECRET", expected);
    }
    let Some(url) =
        Url::parse(url.expose()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
    else {
        reader.reject_secretly("WEBHOOK_URL", "a URL that begins with https:// or http://");
        return None;
    };
    if ca.is_some() && url.scheme() != "https" {
        reader.reject_secretly("WEBHOOK_URL", "https://…, because WEBHOOK_CA_FILE is set");
    }
    // Names are checked when they are resolved.
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if !allow_private && host.parse().is_ok_and(|address| !is_public(address)) {
        reader
            .reject("WEBHOOK_URL", "a public address, or WEBHOOK_ALLOW_PRIVATE=true to allow any");
    }
    Some((WebhookSettings { url, ca, secret, allow_private, timeout }, states))
}

fn read_email(
    reader: &mut Reader,
    timeout: Duration,
    enabled: bool,
) -> Option<(EmailSettings, Vec<OrderState>)> {
    let server = reader.text("EMAIL_SMTP_HOST_PORT", "localhost:587");
    let server = HostPort::parse(&server, 0).ok().filter(|server| server.port != 0);
    let settings = EmailSettings {
        server: server.clone().unwrap_or(HostPort { host: String::new(), port: 0 }),
        tls: reader.get("EMAIL_SMTP_TLS", SmtpTls::StartTls),
        ca: PemFile::certificates(reader, "EMAIL_CA_FILE"),
        user: reader.text("EMAIL_SMTP_USER", ""),
        password: reader.secret("EMAIL_SMTP_PASSWORD", ""),
        from: reader.text("EMAIL_FROM", ""),
        to: reader.text("EMAIL_TO", ""),
        language: reader.get("EMAIL_LANGUAGE", Language::English),
        timeout,
    };
    let states = states(reader, "EMAIL_STATES");
    if !enabled {
        return None;
    }
    if server.is_none() {
        reader.reject_secretly("EMAIL_SMTP_HOST_PORT", "host:port");
    }
    if settings.tls == SmtpTls::None && !settings.user.is_empty() {
        reader.reject("EMAIL_SMTP_TLS", "starttls or implicit, because EMAIL_SMTP_USER is set");
    }
    if settings.tls == SmtpTls::None && settings.ca.is_some() {
        reader.reject("EMAIL_SMTP_TLS", "starttls or implicit, because EMAIL_CA_FILE is set");
    }
    if !is_mailbox(&settings.from) {
        reader.reject("EMAIL_FROM", "an address such as shop@example.com");
    }
    if !settings.to.contains(USER_ID) || !is_mailbox(&settings.to.replace(USER_ID, "1")) {
        let expected = format!("an address with {USER_ID}, such as {USER_ID}@users.example.com");
        reader.reject("EMAIL_TO", expected);
    }
    Some((settings, states))
}

fn is_mailbox(text: &str) -> bool {
    text.parse::<lettre::message::Mailbox>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (ChannelSettings, Vec<String>) {
        let mut reader = Reader::from_pairs(pairs.iter().copied());
        let settings = ChannelSettings::read(&mut reader, Duration::from_secs(1));
        let problems = reader.finish().err().map(|error| error.problems).unwrap_or_default();
        (settings, problems.into_iter().map(|problem| problem.name).collect())
    }

    #[test]
    fn only_the_log_is_enabled_by_default_for_all_states() {
        let (settings, problems) = read(&[]);
        assert!(problems.is_empty(), "{problems:?}");
        let channels = settings.channels().unwrap();
        assert_eq!(channels.len(), 1);
        assert_eq!((channels[0].channel.name(), channels[0].states.len()), ("log", 5));
    }

    #[test]
    fn each_channel_has_its_states() {
        let (settings, problems) = read(&[
            (CHANNELS, "log, webhook"),
            ("LOG_STATES", "PAYED"),
            ("WEBHOOK_STATES", "PAYED, CANCELLED"),
            ("WEBHOOK_URL", "https://example.com/hooks"),
            ("WEBHOOK_SECRET", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"),
        ]);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(settings.log, Some(vec![OrderState::Payed]));
        let (webhook, states) = settings.webhook.unwrap();
        assert_eq!(states, [OrderState::Payed, OrderState::Cancelled]);
        assert!(!webhook.allow_private);
    }

    #[test]
    fn a_channel_that_is_enabled_needs_its_settings() {
        assert_eq!(read(&[(CHANNELS, "log,sms")]).1, [CHANNELS]);
        assert_eq!(read(&[("LOG_STATES", "PAID")]).1, ["LOG_STATES"]);
        assert_eq!(read(&[(CHANNELS, "webhook")]).1, ["WEBHOOK_SECRET", "WEBHOOK_URL"]);
        assert_eq!(read(&[(CHANNELS, "email")]).1, ["EMAIL_FROM", "EMAIL_TO"]);
        let plain = [
            (CHANNELS, "email"),
            ("EMAIL_FROM", "shop@example.com"),
            ("EMAIL_TO", "{user_id}@example.com"),
            ("EMAIL_SMTP_USER", "shop"),
            ("EMAIL_SMTP_TLS", "none"),
        ];
        assert_eq!(read(&plain).1, ["EMAIL_SMTP_TLS"], "the password would be readable");
        assert!(read(&[("WEBHOOK_URL", "nonsense"), ("EMAIL_TO", "nobody")]).1.is_empty());
    }

    #[test]
    fn a_private_address_must_be_allowed() {
        let of = |url: &str, allow: &str| {
            let secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
            read(&[
                (CHANNELS, "webhook"),
                ("WEBHOOK_URL", url),
                ("WEBHOOK_SECRET", secret),
                ("WEBHOOK_ALLOW_PRIVATE", allow),
            ])
            .1
        };
        for url in ["http://127.0.0.1:80/", "https://[::1]/", "http://169.254.169.254/latest"] {
            assert_eq!(of(url, "false"), ["WEBHOOK_URL"], "{url}");
            assert!(of(url, "true").is_empty(), "{url}");
        }
        assert!(of("https://8.8.8.8/", "false").is_empty());
    }
}
