//! Three notifiers, their receivers, and the history of the orders that they notify about.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use dev::testing::{ServiceProcess, Signal, eventually, free_port};
use fastrand::Rng;
use kafka_actors::Record;
use uuid::Uuid;

use super::receivers::{WebhookReceiver, is_rejected, mailed};
use crate::email::MailServer;
use crate::history::History;
use crate::support::World;

pub const NOTIFIERS: usize = 3;
const GROUP: &str = "crew";
/// How long a start may take on a machine that is busy with other tests.
const READY_WITHIN: Duration = Duration::from_mins(1);

type Env = Vec<(String, String)>;

pub struct Crew {
    pub world: World,
    pub history: History,
    pub webhook: WebhookReceiver,
    pub mails: MailServer,
    notifiers: Vec<(Env, ServiceProcess)>,
    /// Order and number of each event that was published.
    pub events: HashMap<Uuid, (i64, i64)>,
    /// How many records were published that are not events.
    pub poison: i64,
    next_order: i64,
    /// Whether the notifiers die when they reach a point.
    armed: bool,
}

impl Crew {
    pub async fn start(rng: Rng) -> Self {
        let (world, history) = (World::new().await, History::new().await);
        let webhook = WebhookReceiver::new(rng);
        let mails = MailServer::start_with("smtp_server.Slow").await;
        let url = webhook.serve();
        let mut notifiers = Vec::new();
        for _ in 0..NOTIFIERS {
            let mut env = world.env(GROUP);
            env.retain(|(name, _)| name != "HTTP_PORT");
            let more = [
                ("HTTP_PORT", free_port().to_string()),
                ("NOTIFICATION_CHANNELS", "webhook,email,log".to_owned()),
                ("NOTIFICATION_TIMEOUT", "2s".to_owned()),
                ("NOTIFICATION_MAX_RETRIES", "0".to_owned()),
                ("WEBHOOK_URL", url.clone()),
                ("WEBHOOK_SECRET", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz".to_owned()),
                ("WEBHOOK_ALLOW_PRIVATE", "true".to_owned()),
                ("RUST_LOG", "error".to_owned()),
            ];
            env.extend(more.map(|(name, value)| (name.to_owned(), value)));
            env.extend(mails.env());
            // Handshakes would take most of the time.
            env.retain(|(name, _)| name != "EMAIL_CA_FILE");
            env.push(("EMAIL_SMTP_TLS".to_owned(), "none".to_owned()));
            let process = ServiceProcess::start("notifier", &env).await;
            notifiers.push((env, process));
        }
        let events = HashMap::new();
        Self {
            world,
            history,
            webhook,
            mails,
            notifiers,
            events,
            poison: 0,
            next_order: 1,
            armed: false,
        }
    }

    /// Publishes the events of `orders` new orders, and a record that is not an event.
    pub async fn publish(&mut self, orders: u64) {
        let first = self.next_order;
        self.next_order += i64::try_from(orders).unwrap();
        // Half of them are in each shard.
        let ids: Vec<i64> =
            (first..self.next_order).map(|order| order * 1000 + order % 2).collect();
        let events = self.history.paid(&ids).await;
        for event in &events {
            let id = event["eventId"].as_str().unwrap().parse().unwrap();
            let place = (event["id"].as_i64().unwrap(), event["sequence"].as_i64().unwrap());
            self.events.insert(id, place);
        }
        for part in events.chunks(5_000) {
            self.world.publish(part).await;
        }
        self.poison += 1;
        let text = format!("no event {}", self.poison);
        let poison = Record::new(&self.world.topic.name, "poison", text);
        self.world.producer.publish(vec![poison]).await.unwrap();
    }

    /// Restarts all notifiers so that each dies the n-th time it reaches the point. Only the group
    /// decides which of them get work.
    pub async fn arm(&mut self, point: &str, n: u32) {
        for notifier in 0..NOTIFIERS {
            self.launch(notifier, Some(format!("{point}#{n}"))).await;
        }
        self.armed = true;
    }

    pub async fn restart(&mut self, notifier: usize) {
        self.launch(notifier, None).await;
    }

    async fn launch(&mut self, notifier: usize, crash_at: Option<String>) {
        let (env, process) = &mut self.notifiers[notifier];
        if process.exited().is_none() {
            process.terminate().await;
        }
        let mut env = env.clone();
        env.extend(crash_at.map(|crash_at| ("CRASH_AT".to_owned(), crash_at)));
        *process = ServiceProcess::launch("notifier", &env);
    }

    /// Stops a notifier in an orderly way, and starts it again.
    pub async fn leave_and_join(&mut self, notifier: usize) {
        let (_, process) = &mut self.notifiers[notifier];
        assert_eq!(process.terminate().await.code(), Some(0));
        self.restart(notifier).await;
    }

    pub fn kill(&mut self, notifier: usize) {
        self.notifiers[notifier].1.kill9();
    }

    pub fn signal(&mut self, notifier: usize, signal: Signal) {
        self.notifiers[notifier].1.signal(signal);
    }

    /// How many notifiers have died at their point.
    pub fn dead(&mut self) -> u32 {
        let is_dead = |process: &mut ServiceProcess| {
            let exited = process.exited();
            exited.is_some_and(|status| status.signal() == Some(Signal::SIGKILL as i32))
        };
        self.notifiers.iter_mut().map(|(_, process)| u32::from(is_dead(process))).sum()
    }

    /// Starts the notifiers that are dead, restarts those that are armed, and waits until all are
    /// ready.
    pub async fn recover(&mut self) {
        for notifier in 0..NOTIFIERS {
            if self.armed || self.notifiers[notifier].1.exited().is_some() {
                self.restart(notifier).await;
            }
        }
        self.armed = false;
        for (_, process) in &mut self.notifiers {
            tokio::time::timeout(READY_WITHIN, process.ready()).await.expect("it starts");
        }
    }

    /// Waits until all events were sent over both channels, and all letters are published.
    pub async fn at_rest(&self) {
        let rejected = self.rejected();
        let wanted = i64::try_from(2 * self.events.len()).unwrap() - rejected;
        let letters_wanted = self.poison + rejected;
        // Four lanes with builds that are not optimized send about 80 notifications per second each.
        let patience = Duration::from_secs(60 + self.events.len() as u64 / 10);
        eventually(patience, "everything is sent", async || {
            let sent = self.world.count("deliveries where status = 'sent'").await;
            let letters = self.world.count("letters where published_at is not null").await;
            if (sent, letters) == (wanted, letters_wanted) {
                Ok(())
            } else {
                Err(format!("{sent} of {wanted} sent, {letters} of {letters_wanted} letters"))
            }
        })
        .await;
    }

    /// How many events the webhook rejects.
    pub fn rejected(&self) -> i64 {
        let rejected = self.events.values().filter(|(order, _)| is_rejected(*order));
        i64::try_from(rejected.count()).unwrap()
    }

    pub fn published(&self) -> usize {
        self.events.len()
    }

    pub fn received(&self) -> usize {
        self.webhook.accepted().len() + mailed(&self.mails).len()
    }

    /// How many notifications were received that had been received before.
    pub fn repeated(&self) -> usize {
        let again = |mut ids: Vec<Uuid>| {
            let all = ids.len();
            ids.sort_unstable();
            ids.dedup();
            all - ids.len()
        };
        again(self.webhook.accepted()) + again(mailed(&self.mails))
    }

    pub async fn verify(&self) -> service_kit::verify::Report {
        self.history.verify(&self.world, GROUP).await
    }

    pub async fn stop(mut self) {
        for (_, process) in &mut self.notifiers {
            assert_eq!(process.terminate().await.code(), Some(0));
        }
    }
}
