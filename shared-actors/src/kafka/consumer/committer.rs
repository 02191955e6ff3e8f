//! The thread that commits and measures: both wait for the brokers, which must not keep the reader from polling.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::group::Group;
use crate::panic_point;

/// How often the lag is measured.
const MEASURE_INTERVAL: Duration = Duration::from_secs(2);

/// Commits what is done whenever it is woken, one commit at a time. Dropping it waits for the one under way.
pub(super) struct Committer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub fn start(consumer: Arc<BaseConsumer<Group>>) -> KafkaResult<Self> {
        let (wake, woken) = sync_channel(1);
        let work = move || {
            let mut next_measure = Instant::now();
            loop {
                let pause = next_measure.saturating_duration_since(Instant::now());
                if woken.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
                panic_point!("consumer::committing");
                consumer.context().commit(&consumer);
                if Instant::now() >= next_measure {
                    consumer.context().measure(&consumer);
                    next_measure = Instant::now() + MEASURE_INTERVAL;
                }
            }
        };
        let thread = thread::Builder::new().name("kafka committer".to_owned()).spawn(work);
        let thread =
            thread.map_err(|_| KafkaError::ConsumerCommit(RDKafkaErrorCode::CriticalSystemResource))?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    /// Commits soon; together with what is done until then.
    ///
    /// # Errors
    /// The thread has panicked: nothing would ever be committed again.
    pub fn wake(&self) -> KafkaResult<()> {
        match self.wake.as_ref().map(|wake| wake.try_send(())) {
            Some(Err(TrySendError::Disconnected(()))) => {
                Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::Fail))
            }
            // Full: it is going to look anyway.
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
