//! Which partitions are held, and up to which offset each is done and committed. Pure bookkeeping,
//! no I/O.

use std::collections::HashMap;

/// The offset to continue from, valid only for one holding of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Distinguishes one holding of the partition from a later one.
    pub epoch: u64,
    pub offset: i64,
}

/// One partition, from the moment it is assigned.
#[derive(Debug)]
struct Holding {
    epoch: u64,
    /// The offset after the last record that was read.
    read: Option<i64>,
    /// Everything before this offset is done.
    done: Option<i64>,
    /// The value of `done` that is committed, or is being committed.
    committed: Option<i64>,
}

/// The partitions of one topic, as one member of the group sees them.
#[derive(Debug, Default)]
pub(super) struct Progress {
    epoch: u64,
    held: HashMap<i32, Holding>,
}

impl Progress {
    pub fn assign(&mut self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            self.begin(partition);
        }
    }

    fn begin(&mut self, partition: i32) {
        self.epoch += 1;
        let holding = Holding { epoch: self.epoch, read: None, done: None, committed: None };
        self.held.insert(partition, holding);
    }

    pub fn revoke(&mut self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            self.held.remove(&partition);
        }
    }

    /// Notes that the record at `offset` was read. Returns the mark after it, or `None` if the
    /// partition is not held.
    ///
    /// If offsets go back, the topic was deleted and re-created. The progress in the old topic, and
    /// its marks, then no longer count.
    pub fn read(&mut self, partition: i32, offset: i64) -> Option<Mark> {
        if self.held.get(&partition)?.read.is_some_and(|read| offset < read) {
            self.begin(partition);
        }
        let holding = self.held.get_mut(&partition)?;
        holding.read = Some(offset + 1);
        Some(Mark { epoch: holding.epoch, offset: offset + 1 })
    }

    /// Whether the partition has been held without interruption since the mark was made.
    pub fn holds(&self, partition: i32, mark: Mark) -> bool {
        self.held.get(&partition).is_some_and(|holding| holding.epoch == mark.epoch)
    }

    /// Everything before the mark is done. Does nothing if the partition has moved since.
    pub fn done(&mut self, partition: i32, mark: Mark) {
        if let Some(holding) =
            self.held.get_mut(&partition).filter(|holding| holding.epoch == mark.epoch)
        {
            holding.done = holding.done.max(Some(mark.offset));
        }
    }

    /// No records are in hand, and the next record will have this offset or a later one.
    pub fn caught_up(&mut self, partition: i32, position: i64) {
        if let Some(holding) = self.held.get_mut(&partition) {
            holding.done = holding.done.max(Some(position));
        }
    }

    /// The partitions that are held, each with the offset before which everything is done, if
    /// known.
    pub fn held(&self) -> impl Iterator<Item = (i32, Option<i64>)> {
        self.held.iter().map(|(partition, holding)| (*partition, holding.done))
    }

    /// Returns the offsets to commit and treats them as being committed from now on.
    pub fn take_done(&mut self) -> HashMap<i32, i64> {
        let mut taken = HashMap::new();
        for (partition, holding) in &mut self.held {
            if let Some(done) = holding.done.filter(|done| holding.committed != Some(*done)) {
                holding.committed = Some(done);
                taken.insert(*partition, done);
            }
        }
        taken
    }

    /// Notes that the commit of these offsets failed. The next commit includes them, with
    /// everything that is done by then.
    pub fn commit_failed(&mut self, offsets: impl IntoIterator<Item = (i32, i64)>) {
        for (partition, offset) in offsets {
            if let Some(holding) = self.held.get_mut(&partition)
                && holding.committed == Some(offset)
            {
                holding.committed = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding_partition_0() -> Progress {
        let mut progress = Progress::default();
        progress.assign([0]);
        progress
    }

    #[test]
    fn what_is_done_is_committed_once() {
        let mut progress = holding_partition_0();
        let mark = progress.read(0, 41).unwrap();
        progress.done(0, mark);
        assert_eq!(progress.take_done(), HashMap::from([(0, 42)]));
        assert!(progress.take_done().is_empty());
    }

    #[test]
    fn a_failed_commit_is_made_again_and_never_goes_back() {
        let mut progress = holding_partition_0();
        let mark = progress.read(0, 9).unwrap();
        progress.done(0, mark);
        let failed = progress.take_done();
        progress.commit_failed(failed.clone());
        assert_eq!(progress.take_done(), failed);
        let later = progress.read(0, 19).unwrap();
        progress.done(0, later);
        progress.commit_failed(failed);
        assert_eq!(progress.take_done(), HashMap::from([(0, 20)]));
    }

    #[test]
    fn what_lies_behind_the_last_record_is_committed_too() {
        let mut progress = holding_partition_0();
        let mark = progress.read(0, 41).unwrap();
        progress.done(0, mark);
        progress.caught_up(0, 43);
        assert_eq!(progress.take_done(), HashMap::from([(0, 43)]));
        // A lower position is ignored, and so is the position of a partition that is not held.
        progress.caught_up(0, 40);
        progress.caught_up(1, 7);
        assert!(progress.take_done().is_empty());
    }

    #[test]
    fn work_on_a_partition_that_has_moved_is_of_no_consequence() {
        let mut progress = holding_partition_0();
        let before = progress.read(0, 7).unwrap();
        progress.revoke([0]);
        progress.done(0, before);
        progress.assign([0]);
        progress.done(0, before);
        assert!(progress.take_done().is_empty() && !progress.holds(0, before));
        assert_eq!(progress.read(1, 0), None);
    }

    #[test]
    fn offsets_that_go_back_are_those_of_a_new_topic() {
        let mut progress = holding_partition_0();
        let old = progress.read(0, 99).unwrap();
        let new = progress.read(0, 0).unwrap();
        progress.done(0, old);
        assert!(progress.take_done().is_empty() && !progress.holds(0, old));
        progress.done(0, new);
        assert_eq!(progress.take_done(), HashMap::from([(0, 1)]));
    }
}
