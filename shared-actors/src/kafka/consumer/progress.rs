//! Which partitions are held, what of them is done, and what of that is committed. Pure bookkeeping, no I/O.

use std::collections::HashMap;

/// The offset to go on from, of a partition as it was held at the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Tells one holding of the partition from a later one.
    pub epoch: u64,
    pub offset: i64,
}

/// The partitions of one topic, as one member of the group sees them.
#[derive(Debug, Default)]
pub(super) struct Progress {
    epoch: u64,
    held: HashMap<i32, u64>,
    /// Done, and yet to be committed.
    done: HashMap<i32, i64>,
    committed: HashMap<i32, i64>,
}

impl Progress {
    pub fn assign(&mut self, partitions: impl IntoIterator<Item = i32>) {
        self.epoch += 1;
        self.held.extend(partitions.into_iter().map(|partition| (partition, self.epoch)));
    }

    pub fn revoke(&mut self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            self.held.remove(&partition);
            self.done.remove(&partition);
            self.committed.remove(&partition);
        }
    }

    /// The mark of the record after `offset`; `None` when the partition is not held.
    pub fn mark(&self, partition: i32, offset: i64) -> Option<Mark> {
        self.held.get(&partition).map(|epoch| Mark { epoch: *epoch, offset: offset + 1 })
    }

    /// Whether the partition is still held as it was at the mark.
    pub fn holds(&self, partition: i32, mark: Mark) -> bool {
        self.held.get(&partition) == Some(&mark.epoch)
    }

    pub fn is_held(&self, partition: i32) -> bool {
        self.held.contains_key(&partition)
    }

    /// Everything before the mark is done; of no consequence when the partition has moved since.
    pub fn done(&mut self, partition: i32, mark: Mark) {
        if self.holds(partition, mark) {
            self.done.insert(partition, mark.offset);
        }
    }

    /// What is to be committed; it counts as under way from now on.
    pub fn take_done(&mut self) -> HashMap<i32, i64> {
        std::mem::take(&mut self.done)
    }

    /// The commit of these offsets has ended; what failed is to be committed again.
    pub fn commit_ended(&mut self, offsets: impl IntoIterator<Item = (i32, i64)>, ok: bool) {
        for (partition, offset) in offsets {
            if !self.is_held(partition) {
                continue;
            }
            let committed = self.committed.entry(partition).or_insert(offset);
            if ok {
                *committed = offset.max(*committed);
            } else if offset >= *committed {
                let done = self.done.entry(partition).or_insert(offset);
                *done = offset.max(*done);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_is_committed_once() {
        let mut progress = Progress::default();
        progress.assign([0, 1]);
        let mark = progress.mark(0, 41).unwrap();
        progress.done(0, mark);
        assert_eq!(progress.take_done(), HashMap::from([(0, 42)]));
        progress.commit_ended([(0, 42)], true);
        assert!(progress.take_done().is_empty());
    }

    #[test]
    fn a_failed_commit_is_made_again_and_never_goes_back() {
        let mut progress = Progress::default();
        progress.assign([0]);
        progress.commit_ended([(0, 10)], false);
        progress.done(0, progress.mark(0, 19).unwrap());
        progress.commit_ended([(0, 10)], false);
        assert_eq!(progress.take_done(), HashMap::from([(0, 20)]));
    }

    #[test]
    fn work_on_a_partition_that_has_moved_is_of_no_consequence() {
        let mut progress = Progress::default();
        progress.assign([0]);
        let before = progress.mark(0, 7).unwrap();
        progress.revoke([0]);
        progress.done(0, before);
        progress.assign([0]);
        progress.done(0, before);
        assert!(progress.take_done().is_empty() && !progress.holds(0, before));
        assert_eq!(progress.mark(1, 0), None);
    }
}
