//! The snapshots, in the order in which they are taken: the history of orders, the notifier's
//! database, the history again.

use std::time::Duration;

use futures::future::{join_all, try_join_all};
use kafka_actors::{GroupPosition, KafkaError, Offsets};
use service_kit::shard::ShardIndex;
use service_kit::verify::Snapshot;
use tokio::time::{Instant, sleep};

use super::error::VerifyError;
use super::queries::{self, Place};
use crate::settings::Settings;

/// How long to wait until the consumer group has read what is in the topic.
const CATCH_UP: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(200);

const APPLICATION: &str = "notifier verify";

pub(super) struct Round {
    /// The history before the notifier's database was read, by shard.
    pub before: Vec<Snapshot>,
    /// Whether the notifier has read everything that was published when `before` was read.
    pub caught_up: bool,
    pub notifier: Snapshot,
    /// The history afterwards, by shard.
    pub after: Vec<Snapshot>,
}

impl Round {
    pub async fn begin(settings: &Settings) -> Result<Self, VerifyError> {
        let mut before = history(settings).await?;
        are_the_shards(&mut before).await?;
        let position = GroupPosition {
            brokers: settings.brokers(),
            group: settings.group.clone(),
            topic: settings.kafka.topic.clone(),
        };
        let caught_up = catches_up(&position).await?;
        let name = "the database of the notifier".to_owned();
        let shard = ShardIndex::new(0);
        let mut notifier = Snapshot::connect(shard, name, APPLICATION, &settings.database).await?;
        notifier.read(queries::fix).await?;
        let mut after = history(settings).await?;
        are_the_shards(&mut after).await?;
        Ok(Self { before, caught_up, notifier, after })
    }

    pub async fn end(self) {
        let all = self.before.into_iter().chain([self.notifier]).chain(self.after);
        join_all(all.map(Snapshot::close)).await;
    }
}

async fn history(settings: &Settings) -> Result<Vec<Snapshot>, VerifyError> {
    let shards = (0..).map(ShardIndex::new).zip(&settings.loms_shards);
    let connect = async |(shard, settings): (ShardIndex, &service_kit::settings::ShardSettings)| {
        let name = format!("the database of shard {shard} of loms");
        Snapshot::connect(shard, name, APPLICATION, &settings.primary).await
    };
    Ok(try_join_all(shards.map(connect)).await?)
}

/// Fixes the snapshots, and refuses databases that are not all the shards in order.
async fn are_the_shards(history: &mut [Snapshot]) -> Result<(), VerifyError> {
    let named = history.len();
    for snapshot in history {
        let shard = snapshot.shard;
        let Some(Place { shard: found, known }) = snapshot.read(queries::place).await? else {
            return Err(VerifyError::Unprepared { shard });
        };
        if found != i32::from(shard.get())
            || usize::try_from(known).is_ok_and(|known| known > named)
        {
            return Err(VerifyError::OtherShards { shard, found, known, named });
        }
    }
    Ok(())
}

/// Waits for a while until the group has read what is in the topic now. Returns whether it has.
async fn catches_up(position: &GroupPosition) -> Result<bool, VerifyError> {
    let failed = |error: KafkaError| VerifyError::Kafka(error.to_string());
    let ends = position.ends().await.map_err(failed)?;
    let give_up = Instant::now() + CATCH_UP;
    loop {
        let partitions = ends.keys().copied().collect();
        let committed = position.committed(partitions).await.map_err(failed)?;
        if is_read(&ends, &committed) {
            return Ok(true);
        }
        if Instant::now() >= give_up {
            return Ok(false);
        }
        sleep(LOOK_EVERY).await;
    }
}

fn is_read(ends: &Offsets, committed: &Offsets) -> bool {
    ends.iter()
        .all(|(partition, end)| committed.get(partition).is_some_and(|committed| committed >= end))
}
