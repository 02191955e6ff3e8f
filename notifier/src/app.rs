//! The application: how its parts are assembled, started and stopped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use kafka_actors::{ConsumerHandle, ConsumerOptions, ProducerHandle, ProducerOptions, Topic};
use service_kit::database;
use service_kit::database::{Migrations, Pool, PoolSettings, PrepareError};
use service_kit::http;
use service_kit::http::{HttpFrontEnd, HttpService};
use service_kit::net::{TooFewDescriptors, provide_descriptors};
use shared_actors::actor::{ActorOptions, Arbiters, TaskHandle};
use shared_actors::health::{Component, Health};
use shared_actors::shutdown::Shutdown;
use sqlx::migrate::Migrator;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::api;
use crate::channels::{ChannelHandle, EnabledChannel};
use crate::dead_letters::{DeadLetterMonitor, DeadLetterPublisher, DeadLetters};
use crate::deliveries::{BacklogMonitor, Courier, CourierHandle, ImmediateChannel, RetryLimits};
use crate::inbox::{EventSink, InboxHandle, InboxSweeper};
use crate::settings::Settings;

static MIGRATOR: Migrator = sqlx::migrate!("../migrations/notifier");

/// How long stopping may take. The rest of the 20 s after SIGTERM is for exporting the last spans.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Why the notifier cannot run.
#[derive(Debug, Error)]
pub enum StartError {
    /// The port cannot be bound or was lost, or signals cannot be received.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There are too few file descriptors to serve clients.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// The database cannot be prepared, and waiting does not help.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
}

/// A running notifier.
pub struct Application {
    http: HttpFrontEnd,
    health: Health,
    database: Component,
    kafka: Component,
    settings: Settings,
    pool: Pool,
    arbiters: Arbiters,
    channels: Vec<ChannelHandle>,
    inbox: InboxHandle,
    dead_letters: ProducerHandle,
}

impl Application {
    /// Binds its port immediately; everything else may become available later. Sends notifications
    /// over `channels`. Must be called within an actix `System`.
    ///
    /// # Errors
    /// The port cannot be bound, or there are too few file descriptors.
    pub fn build(settings: &Settings, channels: Vec<EnabledChannel>) -> Result<Self, StartError> {
        let mut http = settings.http.clone();
        provide_descriptors([&mut http.max_connections])?;
        let health = Health::new();
        let (database, kafka) = (health.component("postgres"), health.component("kafka"));
        let service = HttpService {
            health: health.clone(),
            openapi: api::document(),
            errors: api::error_body,
            identity: None,
        };
        let http = http::serve(&http, service, |_| ())?;
        let arbiters = Arbiters::new(0);
        let limits = PoolSettings::new("notifier")
            .with_max_connections(settings.max_connections)
            .with_custom_plans();
        let pool = Pool::new(&settings.database, &limits);
        database::show_pool("notifications", 0, &pool);
        let channels: Arc<[EnabledChannel]> = channels.into();
        let handles: Vec<ChannelHandle> = channels
            .iter()
            .map(|EnabledChannel { channel, .. }| {
                let timeout = settings.notification_timeout;
                ChannelHandle::start(Arc::clone(channel), timeout, arbiters.pick(0))
            })
            .collect();
        let immediate =
            channels.iter().zip(&handles).filter(|(enabled, _)| enabled.channel.is_immediate());
        let immediate =
            immediate.map(|(_, handle)| ImmediateChannel::new(handle.clone())).collect();
        let inbox = InboxHandle::start(pool.clone(), channels, immediate, arbiters.pick(0));
        let options = ProducerOptions::new(settings.brokers(), "notifier-dead-letters")
            .retry_max(settings.kafka.retry_max)
            // Letters that Kafka does not accept in this time wait in the database.
            .delivery_timeout(DeadLetterPublisher::PUBLISH_WITHIN)
            .topic(settings.dead_letter_topic());
        let dead_letters = ProducerHandle::start(options, arbiters.pick(0));
        info!(address = %http.address, topic = settings.kafka.topic, group = settings.group, "notifier started");
        let settings = settings.clone();
        Ok(Self {
            http,
            health,
            database,
            kafka,
            settings,
            pool,
            arbiters,
            channels: handles,
            inbox,
            dead_letters,
        })
    }

    /// The address of the HTTP port.
    pub fn address(&self) -> SocketAddr {
        self.http.address
    }

    /// Runs until SIGTERM or SIGINT, then stops in order and finishes the work in progress.
    ///
    /// # Errors
    /// Signals cannot be received, the database cannot be prepared, or the HTTP port was lost.
    pub async fn run_until_stopped(self) -> Result<(), StartError> {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stopped = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        self.run_until(stopped).await
    }

    /// Runs until `stopped`, then stops in order.
    ///
    /// # Errors
    /// The database cannot be prepared, or the HTTP port was lost.
    pub async fn run_until(self, stopped: impl Future<Output = ()>) -> Result<(), StartError> {
        let ended = self.http.ended();
        let stopped = async {
            tokio::select! {
                () = stopped => Ok(()),
                ended = ended => Err(StartError::Io(ended)),
            }
        };
        tokio::pin!(stopped);
        let mut ending = Ok(());
        let prepared = tokio::select! {
            prepared = self.prepare() => Some(prepared),
            stopped = &mut stopped => {
                ending = stopped;
                None
            }
        };
        let outcome = match prepared {
            Some(Ok(())) => {
                let couriers = self.start_couriers();
                let consumer = self.consume(&couriers);
                let tasks = self.start_tasks();
                let watch = database::watch(
                    self.settings.database.clone(),
                    self.database.clone(),
                    vec![self.pool.clone()],
                );
                tokio::select! {
                    () = watch => {}
                    stopped = &mut stopped => ending = stopped,
                }
                self.stop(Some(consumer), couriers, tasks).await;
                ending
            }
            Some(Err(error)) => {
                self.stop(None, Vec::new(), Vec::new()).await;
                Err(error.into())
            }
            None => {
                self.stop(None, Vec::new(), Vec::new()).await;
                ending
            }
        };
        info!("notifier stopped");
        outcome
    }

    async fn prepare(&self) -> Result<(), PrepareError> {
        let migrations =
            if self.settings.migrate_on_start { Migrations::Apply } else { Migrations::Await };
        database::prepare(&self.settings.database, &[&MIGRATOR], migrations, &self.database).await
    }

    fn start_couriers(&self) -> Vec<CourierHandle> {
        let Settings { notification_timeout: attempt_timeout, .. } = self.settings;
        let limits = RetryLimits {
            refusals: self.settings.max_retries,
            age: self.settings.notification_ttl,
        };
        let arbiter = self.arbiters.pick(0);
        let start = |channel: &ChannelHandle| {
            let channel = channel.clone();
            Courier { channel, pool: self.pool.clone(), limits, attempt_timeout }.start(arbiter)
        };
        self.channels.iter().map(start).collect()
    }

    fn consume(&self, couriers: &[CourierHandle]) -> ConsumerHandle {
        let Settings { kafka, group, event_max_bytes, .. } = &self.settings;
        let letters = DeadLetters::new(self.pool.clone());
        let sink =
            EventSink::new(self.inbox.clone(), letters, couriers.to_vec(), group, *event_max_bytes);
        let options = ConsumerOptions::new(self.settings.brokers(), group, &kafka.topic)
            .component(self.kafka.clone());
        ConsumerHandle::start(options, self.arbiters.pick(0), sink)
    }

    /// Starts what nobody asks for: sweeping, publishing dead letters, and measuring.
    fn start_tasks(&self) -> Vec<TaskHandle> {
        let (arbiter, pool, ttl) = (self.arbiters.pick(0), &self.pool, self.settings.inbox_ttl);
        let sweeper = pool.clone();
        let sweeper = TaskHandle::periodic(
            ActorOptions::new("inbox_sweeper"),
            arbiter,
            InboxSweeper::PERIOD,
            move || InboxSweeper::new(sweeper.clone(), ttl),
        );
        let letters = (pool.clone(), self.dead_letters.clone());
        let topic = Topic::new(self.settings.brokers(), self.settings.dead_letter_topic());
        let publisher = TaskHandle::periodic(
            ActorOptions::new("dead_letter_publisher"),
            arbiter,
            DeadLetterPublisher::PERIOD,
            move || DeadLetterPublisher::new(letters.0.clone(), topic.clone(), letters.1.clone()),
        );
        let counted = pool.clone();
        let dead_letters = TaskHandle::periodic(
            ActorOptions::new("dead_letter_monitor"),
            arbiter,
            DeadLetterMonitor::PERIOD,
            move || DeadLetterMonitor::new(counted.clone()),
        );
        let pending = pool.clone();
        let names: Vec<_> = self.channels.iter().map(ChannelHandle::name).collect();
        let backlog = TaskHandle::periodic(
            ActorOptions::new("backlog_monitor"),
            arbiter,
            BacklogMonitor::PERIOD,
            move || BacklogMonitor::new(pending.clone(), &names),
        );
        vec![sweeper, publisher, dead_letters, backlog]
    }

    async fn stop(
        self,
        consumer: Option<ConsumerHandle>,
        couriers: Vec<CourierHandle>,
        tasks: Vec<TaskHandle>,
    ) {
        let Self { http, health, pool, inbox, dead_letters, .. } = self;
        health.stopping();
        // They have as long as the steps before theirs.
        couriers.iter().for_each(CourierHandle::stop_claiming);
        tasks.iter().for_each(TaskHandle::signal_stop);
        Shutdown::new(STOP_WITHIN)
            .step("consumer", async move {
                if let Some(consumer) = consumer {
                    consumer.drain().await;
                }
            })
            .step("inbox", async move { inbox.drain().await })
            .step("channels", async move {
                join_all(couriers.iter().map(CourierHandle::drain)).await;
            })
            .step("tasks", async move {
                join_all(tasks.iter().map(TaskHandle::finish)).await;
            })
            .step("dead letters", async move { dead_letters.drain().await })
            .step("database", async move { pool.close().await })
            .step("http", http.stop())
            .run()
            .await;
    }
}

/// Migrates the database, then returns.
///
/// # Errors
/// Why the migration failed, in words for people.
pub async fn migrate(settings: &Settings) -> Result<(), String> {
    database::migrate_now(&settings.database, &[&MIGRATOR]).await
}
