//! One librdkafka client that publishes, and whether it survives an error. Everything here may
//! block.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, Producer};
use shared_actors::watchdog::Heartbeat;
use shared_actors::{crash_point, panic_point};
use tracing::{error, info, warn};

use super::delivery::{send_all, send_each, until_settled};
use super::failure::{FailedRecord, Failure, final_failure};
use super::{ProducerError, ProducerOptions};
use crate::client;
use crate::client::ClientReport;
use crate::metrics::FAMILIES;
use crate::record::Record;

pub(super) type Client = FutureProducer<ClientReport>;

/// How much later than the delivery timeout a client may report the outcome of a record.
const REPORT_GRACE: Duration = Duration::from_secs(5);

/// Publishes one batch at a time, and keeps its client as long as it is usable.
pub(super) struct Session {
    config: ClientConfig,
    report: ClientReport,
    transactional: bool,
    timeout: Duration,
    max_records: usize,
    link: Mutex<Link>,
}

#[derive(Default)]
struct Link {
    client: Option<Client>,
    /// Whether the client holds the transactional id.
    initialised: bool,
    /// Whether another producer has taken over the transactional id.
    fenced: bool,
}

/// A call that used the client has panicked.
#[derive(Debug)]
pub(super) struct Panicked;

impl Session {
    pub fn new(options: &ProducerOptions) -> Self {
        Self {
            config: config(options),
            report: ClientReport::new(options.component.clone()),
            transactional: options.transactional_id.is_some(),
            timeout: options.delivery_timeout,
            max_records: options.max_records as usize,
            link: Mutex::default(),
        }
    }

    /// Runs `work`. A panic in it drops the client, because its state is unknown then.
    pub fn guard<T>(&self, work: impl FnOnce(&Self) -> T) -> Result<T, Panicked> {
        // Several steps of a publication may each take the full timeout.
        let _watched = Heartbeat::start("kafka_producer", 6 * self.timeout + REPORT_GRACE);
        catch_unwind(AssertUnwindSafe(|| work(self))).map_err(|_| {
            error!("the producer panicked and will be rebuilt");
            *self.link.lock().unwrap_or_else(PoisonError::into_inner) = Link::default();
            self.report.waiting("the producer panicked and will be rebuilt");
            Panicked
        })
    }

    /// Builds the client unless it exists. The client connects in the background.
    pub fn connect(&self) {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = link.client(self) {
            warn!(%error, "the producer cannot be built");
        }
    }

    pub fn publish(&self, records: &[Record]) -> Result<(), ProducerError> {
        if !self.transactional {
            return self.publish_each(records)?.into_iter().collect();
        }
        let result = self.publish_all(records);
        for record in records {
            count(record, result.is_ok());
        }
        result
    }

    fn publish_all(&self, records: &[Record]) -> Result<(), ProducerError> {
        self.check_number(records)?;
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        if link.fenced {
            return Err(ProducerError::Fenced);
        }
        // Only `fence` takes the id: taking it here could steal it from a later holder.
        if !link.initialised {
            return Err(ProducerError::NotFenced);
        }
        let client = link.client(self)?;
        self.in_transaction(&client, records).map_err(|failure| match failure {
            Failure::Passing(error) => error,
            Failure::Final(error) => {
                link.drop_client(&error);
                error
            }
        })
    }

    /// Publishes the records independently of each other. `Ok` holds one outcome per record.
    pub fn publish_each(
        &self,
        records: &[Record],
    ) -> Result<Vec<Result<(), ProducerError>>, ProducerError> {
        assert!(!self.transactional, "a transaction publishes all or nothing");
        self.check_number(records)?;
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let client = link.client(self)?;
        panic_point!("producer::publishing");
        let outcomes = send_each(&client, records, self.report_deadline());
        let unreported = |failed: &FailedRecord| failed.error == KafkaError::Canceled;
        let failures = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        if client.client().fatal_error().is_some() || failures.clone().any(unreported) {
            link.drop_client(&ProducerError::Unavailable {
                reason: "the client has failed".to_owned(),
            });
        }
        for (record, outcome) in records.iter().zip(&outcomes) {
            count(record, outcome.is_ok());
        }
        Ok(outcomes.into_iter().map(|outcome| outcome.map_err(FailedRecord::meaning)).collect())
    }

    fn check_number(&self, records: &[Record]) -> Result<(), ProducerError> {
        if records.len() <= self.max_records {
            return Ok(());
        }
        let reason = format!("a publication holds at most {} records", self.max_records);
        Err(ProducerError::TooMuch { reason })
    }

    pub fn fence(&self) -> Result<(), ProducerError> {
        if !self.transactional {
            return Ok(());
        }
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        if link.initialised || link.fenced {
            *link = Link::default();
        }
        link.initialise(self)
    }

    fn in_transaction(&self, client: &Client, records: &[Record]) -> Result<(), Failure> {
        let started = Instant::now();
        client.begin_transaction().map_err(|error| final_failure(client, &error))?;
        crash_point!("producer::begun");
        if let Err(failed) = send_all(client, records, self.report_deadline()) {
            return Err(self.abort(client, failed.meaning()));
        }
        let deadline = Instant::now() + self.timeout;
        until_settled(client);
        crash_point!("producer::sent");
        loop {
            match client.commit_transaction(self.timeout) {
                Ok(()) => {
                    crash_point!("producer::committed");
                    FAMILIES.transaction_duration.observe(started.elapsed().as_secs_f64());
                    return Ok(());
                }
                Err(KafkaError::Transaction(error)) if error.txn_requires_abort() => {
                    let reason = error.to_string();
                    return Err(self.abort(client, ProducerError::Unavailable { reason }));
                }
                Err(KafkaError::Transaction(error))
                    if error.is_retriable() && Instant::now() < deadline => {}
                Err(error) => return Err(final_failure(client, &error)),
            }
        }
    }

    fn report_deadline(&self) -> tokio::time::Instant {
        tokio::time::Instant::now() + self.timeout + REPORT_GRACE
    }

    /// Aborts the transaction because of `cause`. A client that cannot abort must be replaced.
    fn abort(&self, client: &Client, cause: ProducerError) -> Failure {
        if client.client().fatal_error().is_some() {
            return final_failure(client, &KafkaError::Canceled);
        }
        let deadline = Instant::now() + self.timeout;
        loop {
            match client.abort_transaction(self.timeout) {
                Ok(()) => return Failure::Passing(cause),
                Err(KafkaError::Transaction(error))
                    if error.is_retriable() && Instant::now() < deadline => {}
                Err(error) => return final_failure(client, &error),
            }
        }
    }
}

impl Link {
    fn client(&mut self, session: &Session) -> Result<Client, ProducerError> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let client: Client = session
            .config
            .create_with_context(session.report.clone())
            .inspect_err(|error| session.report.waiting(&error.to_string()))
            .map_err(|error| ProducerError::Unavailable { reason: error.to_string() })?;
        *self = Self { client: Some(client.clone()), ..Self::default() };
        Ok(client)
    }

    fn drop_client(&mut self, error: &ProducerError) {
        warn!(%error, "the producer is unusable and will be replaced");
        *self = Self { fenced: *error == ProducerError::Fenced, ..Self::default() };
    }

    /// Takes the transactional id.
    fn initialise(&mut self, session: &Session) -> Result<(), ProducerError> {
        let client = self.client(session)?;
        if let Err(error) = client.init_transactions(session.timeout) {
            let retriable =
                matches!(&error, KafkaError::Transaction(error) if error.is_retriable());
            if !retriable {
                *self = Self::default();
            }
            return Err(ProducerError::Unavailable { reason: error.to_string() });
        }
        self.initialised = true;
        info!(id = session.config.get("transactional.id"), "acquired the transactional id");
        Ok(())
    }
}

fn config(options: &ProducerOptions) -> ClientConfig {
    let mut config = client::config(&options.brokers, &options.client_id);
    let timeout = options.delivery_timeout.as_millis().to_string();
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("retries", options.retry_max.max(1).to_string())
        .set("retry.backoff.ms", "100")
        .set("retry.backoff.max.ms", "1000")
        .set("message.timeout.ms", &timeout)
        .set("queue.buffering.max.messages", (u64::from(options.max_records) + 1).to_string())
        .set("queue.buffering.max.kbytes", "65536")
        // Long enough to queue a whole publication, so that it makes one request per partition.
        .set("linger.ms", "1")
        // Less for brokers and consumers to move and to store.
        .set("compression.type", "lz4")
        // The same partitions as Java clients choose for the same keys.
        .set("partitioner", "murmur2_random");
    if let Some(id) = &options.transactional_id {
        // A request must not outlive its transaction.
        let socket_timeout = options.delivery_timeout.min(Duration::from_secs(10));
        config.set("socket.timeout.ms", socket_timeout.as_millis().to_string());
        config
            .set("transactional.id", id)
            .set("transaction.timeout.ms", (options.delivery_timeout * 2).as_millis().to_string());
    }
    config
}

fn count(record: &Record, ok: bool) {
    let outcome = if ok { "ok" } else { "error" };
    FAMILIES.producer_records.with_label_values(&[record.topic.as_str(), outcome]).inc();
}
