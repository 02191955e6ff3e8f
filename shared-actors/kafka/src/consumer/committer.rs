//! The thread that commits and measures the lag. Both wait for brokers, which must not keep the
//! reader from polling.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use shared_actors::panic_point;
use shared_actors::watchdog::Heartbeat;

use super::group::Group;

/// How often the lag is measured.
const MEASURE_INTERVAL: Duration = Duration::from_secs(2);

/// Commits finished work whenever it is woken, one commit at a time. Dropping it waits for the
/// commit in progress.
pub(super) struct Committer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread. `longest_call` is how long brokers may keep it waiting.
    pub fn start(consumer: Arc<BaseConsumer<Group>>, longest_call: Duration) -> KafkaResult<Self> {
        let (wake, woken) = sync_channel(1);
        let work = move || {
            let heartbeat = Heartbeat::start("kafka_committer", MEASURE_INTERVAL + longest_call);
            let mut next_measure = Instant::now();
            loop {
                heartbeat.beat();
                let pause = next_measure.saturating_duration_since(Instant::now());
                if woken.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
                panic_point!("consumer::committing");
                consumer.context().commit(&consumer);
                if Instant::now() >= next_measure {
                    consumer.context().measure(&consumer, &heartbeat);
                    next_measure = Instant::now() + MEASURE_INTERVAL;
                }
            }
        };
        let thread = thread::Builder::new().name("kafka committer".to_owned()).spawn(work);
        let thread = thread
            .map_err(|_| KafkaError::ConsumerCommit(RDKafkaErrorCode::CriticalSystemResource))?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    /// Requests a commit soon. It includes everything that is finished by then.
    ///
    /// # Errors
    /// The thread has panicked, so it would never commit again.
    pub fn wake(&self) -> KafkaResult<()> {
        match self.wake.as_ref().map(|wake| wake.try_send(())) {
            Some(Err(TrySendError::Disconnected(()))) => {
                Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::Fail))
            }
            // Full: a commit is already requested.
            _ => Ok(()),
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.wake.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
