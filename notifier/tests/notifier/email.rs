//! The email channel of the shipping binary, with a real SMTP server and TLS.
#![allow(clippy::unwrap_used, reason = "a test's helper fails the test by its panic")]

use std::fs;
use std::path::Path;
use std::process::Stdio;

use dev::testing::{ServiceProcess, eventually, free_port};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::support::{SOON, World, event};

/// The system's interpreter, which finds the packages that apt installed.
const PYTHON: &str = "/usr/bin/python3";

/// A mail server with a certificate for localhost. Mails are files in a maildir.
pub struct MailServer {
    handler: &'static str,
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl MailServer {
    async fn start() -> Self {
        Self::start_with("smtp_server.Picky").await
    }

    /// Starts a server with a class of `smtp_server.py`. The class gets the path "mails".
    pub async fn start_with(handler: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(folder.path().join("cert.pem"), certificate.cert.pem()).unwrap();
        fs::write(folder.path().join("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
        let mut server = Self { handler, folder, port: free_port(), process: None };
        server.restart().await;
        server
    }

    async fn restart(&mut self) {
        let process = Command::new(PYTHON)
            .args(["-m", "aiosmtpd", "-n", "-c", self.handler])
            .args(["-l", &format!("127.0.0.1:{}", self.port)])
            .arg("--tlscert")
            .arg(self.path("cert.pem"))
            .arg("--tlskey")
            .arg(self.path("key.pem"))
            .arg("--no-requiretls")
            .arg(self.path("mails"))
            .env("PYTHONPATH", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/notifier"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.process = Some(process);
        eventually(SOON, "the mail server listens", async || {
            TcpStream::connect(("127.0.0.1", self.port)).await.map(drop)
        })
        .await;
    }

    async fn kill(&mut self) {
        self.process.take().unwrap().kill().await.unwrap();
    }

    /// A file in the server's folder.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// The mails with decoded bodies.
    fn mails(&self) -> Vec<String> {
        let Ok(files) = fs::read_dir(self.folder.path().join("mails/new")) else {
            return Vec::new();
        };
        files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect()
    }

    async fn holds(&self, count: usize) -> Vec<String> {
        eventually(SOON, "the mails are there", async || {
            let mails = self.mails();
            if mails.len() >= count { Ok(mails) } else { Err(mails.len()) }
        })
        .await
    }

    /// The settings of the channel, except whether it is enabled.
    pub fn env(&self) -> Vec<(String, String)> {
        let (server, ca_file) = (format!("localhost:{}", self.port), self.path("cert.pem"));
        let settings = [
            ("EMAIL_SMTP_HOST_PORT", server.as_str()),
            ("EMAIL_CA_FILE", &ca_file),
            ("EMAIL_FROM", "Shop <shop@shop.example>"),
            ("EMAIL_TO", "user-{user_id}@shop.example"),
        ];
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// Starts the binary with only this channel.
    async fn notifier(&self, world: &World, more: &[(&str, &str)]) -> ServiceProcess {
        let mut env = world.env("one");
        env.retain(|(name, _)| name != "HTTP_PORT");
        env.extend(self.env());
        let port = free_port().to_string();
        let own = [("HTTP_PORT", port.as_str()), ("NOTIFICATION_CHANNELS", "email")];
        let pairs = own.into_iter().chain(more.iter().copied());
        env.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        ServiceProcess::start("notifier", &env).await
    }
}

#[actix::test]
async fn each_event_is_one_email_over_tls_with_the_id_of_the_event() {
    let world = World::new().await;
    let server = MailServer::start().await;
    let mut notifier = server.notifier(&world, &[("EMAIL_STATES", "PAYED")]).await;
    let payed = event(1000, 2, "PAYED");
    world.publish(&[event(1000, 1, "NEW"), payed.clone()]).await;
    let mails = server.holds(1).await;
    assert_eq!(notifier.terminate().await.code(), Some(0));
    assert_eq!(server.mails().len(), 1, "only paid orders");
    let id = payed["eventId"].as_str().unwrap();
    for line in [
        "From: Shop <shop@shop.example>",
        "To: user-7@shop.example",
        "Subject: Order 1000 has been paid",
        &format!("Message-ID: <{id}@shop.example>"),
        "Date: Mon, 23 Nov 2026 15:04:05 +0000",
        "Auto-Submitted: auto-generated",
        "Thank you. We have received your payment.",
        "- 2 x SKU 1002",
    ] {
        assert!(mails[0].contains(line), "{line:?} is not in {}", mails[0]);
    }
}

#[actix::test]
async fn a_certificate_that_is_not_trusted_is_refused_and_nothing_is_sent() {
    let world = World::new().await;
    let server = MailServer::start().await;
    let untrusted = [("EMAIL_CA_FILE", ""), ("NOTIFICATION_TTL", "1s")];
    let mut notifier = server.notifier(&world, &untrusted).await;
    world.publish(&[event(1000, 1, "NEW")]).await;
    let letters = world.dead_letters(1).await;
    let reason = letters[0].headers.text("x-error-reason").unwrap();
    assert!(reason.to_lowercase().contains("certificate"), "{reason}");
    assert_eq!(notifier.terminate().await.code(), Some(0));
    assert!(server.mails().is_empty());
}

#[actix::test]
async fn mails_wait_for_a_server_that_is_down_and_each_comes_once() {
    let world = World::new().await;
    let mut server = MailServer::start().await;
    let mut notifier = server.notifier(&world, &[("EMAIL_LANGUAGE", "ru")]).await;
    world.publish(&[event(1000, 1, "NEW")]).await;
    server.holds(1).await;
    server.kill().await;
    world.publish(&[event(1000, 2, "AWAITING_PAYMENT"), event(2000, 1, "NEW")]).await;
    eventually(SOON, "an attempt has failed", async || {
        notifier.log().contains("the channel is unavailable")
    })
    .await;
    server.restart().await;
    let mails = server.holds(3).await;
    assert_eq!(notifier.terminate().await.code(), Some(0));
    assert_eq!(server.mails().len(), 3);
    assert!(mails.iter().all(|mail| mail.contains("Subject: =?utf-8?")), "{mails:?}");
}

#[actix::test]
async fn a_mail_that_was_abandoned_is_sent_again_and_shifts_no_reply_to_another_mail() {
    let world = World::new().await;
    let server = MailServer::start_with("smtp_server.Stalling").await;
    let settings = [("NOTIFICATION_TIMEOUT", "1s")];
    let mut notifier = server.notifier(&world, &settings).await;
    let orders: Vec<i64> = (1..=6).map(|order| order * 1000).collect();
    let events: Vec<_> = orders.iter().map(|order| event(*order, 1, "NEW")).collect();
    world.publish(&events).await;
    eventually(SOON, "all are sent", async || {
        world.count("deliveries where status = 'sent'").await == 6
    })
    .await;
    let mails = server.holds(6).await;
    assert_eq!(notifier.terminate().await.code(), Some(0));
    for event in &events {
        let id = event["eventId"].as_str().unwrap();
        assert!(mails.iter().any(|mail| mail.contains(id)), "{id} was taken for sent: {mails:?}");
    }
}

#[actix::test]
async fn a_recipient_that_the_server_refuses_becomes_a_dead_letter() {
    let world = World::new().await;
    let server = MailServer::start().await;
    // The server refuses all recipients that start with "unknown-".
    let settings =
        [("EMAIL_TO", "unknown-{user_id}@shop.example"), ("NOTIFICATION_MAX_RETRIES", "1")];
    let mut notifier = server.notifier(&world, &settings).await;
    world.publish(&[event(1000, 1, "NEW")]).await;
    let letters = world.dead_letters(1).await;
    let header = |name| letters[0].headers.text(name).unwrap();
    assert!(header("x-error-reason").contains("no such mailbox"), "{}", header("x-error-reason"));
    assert_eq!((header("x-attempts"), header("x-channel")), ("2", "email"));
    assert_eq!(notifier.terminate().await.code(), Some(0));
}
