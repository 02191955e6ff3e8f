//! The thread that commits: a commit waits for the broker, which must not keep the reader from polling.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::group::Group;

/// Commits what is done whenever it is woken, one commit at a time. Dropping it waits for the one under way.
pub(super) struct Committer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub fn start(consumer: Arc<BaseConsumer<Group>>) -> KafkaResult<Self> {
        let (wake, woken) = sync_channel(1);
        let commit = move || {
            while woken.recv().is_ok() {
                consumer.context().commit(&consumer);
            }
        };
        let thread = thread::Builder::new().name("kafka committer".to_owned()).spawn(commit);
        let thread =
            thread.map_err(|_| KafkaError::ConsumerCommit(RDKafkaErrorCode::CriticalSystemResource))?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    /// Commits soon; together with what is done until then.
    pub fn wake(&self) {
        if let Some(wake) = &self.wake {
            // Full: it is going to look anyway.
            let _ = wake.try_send(());
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
