//! The consumer's actor: passes batches from the reader's thread to the sink and retries until the
//! sink accepts them.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler};
use shared_actors::actor::{AskError, Backoff, Command, Envelope};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::reader::{Delivery, Outcome, Reader};
use super::{ConsumerOptions, RecordSink, SinkError};
use crate::metrics::FAMILIES;

/// How long a stop waits for librdkafka, which in turn waits for brokers that may be unreachable.
const LEAVE_WITHIN: Duration = Duration::from_secs(6);

/// How long a stopping consumer waits for the batch in progress. A batch that takes longer is
/// delivered again later.
const LAST_DELIVERY: Duration = Duration::from_secs(3);

/// Stop reading, finish the batch in progress and leave the group.
pub(super) struct StopConsuming;

impl Command for StopConsuming {
    type Output = ();
    type Error = AskError;
    const NAME: &'static str = "stop_consuming";
}

pub(super) struct ConsumerActor {
    options: ConsumerOptions,
    sink: Arc<dyn RecordSink>,
    /// The reader ends when this becomes `true`, or when it is dropped with the actor.
    stop: watch::Sender<bool>,
    /// Closed when the reader has ended.
    reading: Option<watch::Receiver<()>>,
}

impl ConsumerActor {
    pub fn new(options: ConsumerOptions, sink: Arc<dyn RecordSink>) -> Self {
        Self { options, sink, stop: watch::Sender::new(false), reading: None }
    }
}

impl Actor for ConsumerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let (deliveries, batches) = mpsc::channel(1);
        let (alive, reading) = watch::channel(());
        let reader = Reader::new(self.options.clone(), deliveries, self.stop.subscribe());
        let spawned = thread::Builder::new().name("kafka consumer".to_owned()).spawn(move || {
            reader.run();
            drop(alive);
        });
        if let Err(failure) = spawned {
            error!(%failure, "cannot start the consumer's thread");
        }
        self.reading = Some(reading);
        let courier = Courier {
            topic: self.options.topic.clone(),
            sink: Arc::clone(&self.sink),
            backoff: self.options.backoff,
            stop: self.stop.subscribe(),
        };
        // The courier ends when the sender of its batches is dropped: the reader has ended, or
        // never started.
        ctx.spawn(
            wrap_future(courier.run(batches))
                .map(|(), actor: &mut Self, ctx| actor.reader_ended(ctx)),
        );
    }
}

impl ConsumerActor {
    /// Stops the actor if the reader ended without being asked: it has panicked or could not be
    /// started. The supervisor then rebuilds the actor.
    fn reader_ended(&self, ctx: &mut Context<Self>) {
        if *self.stop.borrow() {
            return;
        }
        error!(topic = self.options.topic, "the consumer's thread has ended");
        if let Some(component) = &self.options.component {
            component.waiting("the consumer's thread has ended and will be restarted");
        }
        ctx.stop();
    }
}

impl Handler<Envelope<StopConsuming>> for ConsumerActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<StopConsuming>, _: &mut Context<Self>) {
        self.stop.send_replace(true);
        let reading = self.reading.clone();
        envelope.run(|StopConsuming| async move {
            if let Some(mut reading) = reading {
                // An error means that the reader has ended, which is what we wait for.
                let gone = async { while reading.changed().await.is_ok() {} };
                if timeout(LEAVE_WITHIN, gone).await.is_err() {
                    warn!(
                        "the consumer could not leave its group, which will remove it after the session timeout"
                    );
                }
            }
            Ok(())
        });
    }
}

/// Passes batches to the sink, one at a time.
struct Courier {
    topic: String,
    sink: Arc<dyn RecordSink>,
    backoff: Backoff,
    stop: watch::Receiver<bool>,
}

impl Courier {
    async fn run(self, mut batches: mpsc::Receiver<Delivery>) {
        while let Some(delivery) = batches.recv().await {
            let outcome = self.carry(&delivery).await;
            // The send fails if the reader has ended; then nothing needs the outcome.
            let _ = delivery.outcome.send(outcome);
        }
    }

    async fn carry(&self, delivery: &Delivery) -> Outcome {
        let count = |outcome: &str| {
            let counter =
                FAMILIES.consumer_records.with_label_values(&[self.topic.as_str(), outcome]);
            counter.inc_by(delivery.records.len() as u64);
        };
        let mut failures = 0;
        loop {
            let delivered = tokio::select! {
                delivered = self.sink.deliver(Arc::clone(&delivery.records)) => delivered,
                () = self.stopped_for(LAST_DELIVERY) => return Outcome::GivenUp,
            };
            let Err(SinkError::Unavailable { reason }) = delivered else { break };
            count("retried");
            failures += 1;
            if failures == 1 {
                warn!(
                    topic = self.topic,
                    reason, "cannot process records, retrying until it works"
                );
            }
            tokio::select! {
                () = sleep(self.backoff.wait(failures)) => {}
                () = self.stopped_for(Duration::ZERO) => return Outcome::GivenUp,
            }
        }
        count("ok");
        if failures > 0 {
            info!(topic = self.topic, failures, "processing records again");
        }
        Outcome::Done
    }

    /// Waits until the consumer was told to stop and `grace` has passed since.
    async fn stopped_for(&self, grace: Duration) {
        // An error means that the actor, which holds the sender, is dropped. That counts as a stop.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
        sleep(grace).await;
    }
}
