//! Which shard a user belongs to. This is pure arithmetic, without connections or settings.

use std::fmt;

use shared_actors::fits;

/// The position of a shard in the configured list, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardIndex(u16);

impl ShardIndex {
    /// The shard at `index` of the list. It does not check that there is one.
    pub const fn new(index: u16) -> Self {
        Self(index)
    }

    /// The index as a number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The index for lookups in the list of shards.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ShardIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Maps users to their shards.
///
/// ```
/// use service_kit::shard::{ShardIndex, ShardRouter};
///
/// let router = ShardRouter::new(2).expect("two shards");
/// assert_eq!(router.shard_of_user(7), router.shard_of_user(7));
/// assert_eq!(router.get(1), Some(ShardIndex::new(1)));
/// assert_eq!(router.get(2), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardRouter {
    shards: u16,
}

impl ShardRouter {
    /// The maximum number of shards.
    pub const MAX_SHARDS: u16 = 1000;

    /// A router over `shards` shards; `None` unless there are 1 to [`Self::MAX_SHARDS`].
    pub const fn new(shards: u16) -> Option<Self> {
        if shards == 0 || shards > Self::MAX_SHARDS { None } else { Some(Self { shards }) }
    }

    /// The number of shards.
    pub const fn len(self) -> u16 {
        self.shards
    }

    /// Always `false`: a router has at least one shard.
    pub const fn is_empty(self) -> bool {
        self.shards == 0
    }

    /// Every shard, in order.
    pub fn all(self) -> impl Iterator<Item = ShardIndex> {
        (0..self.shards).map(ShardIndex)
    }

    /// The shard of a user's new data: murmur3 (32 bits, seed 0) of the decimal id,
    /// modulo the number of shards.
    pub fn shard_of_user(self, user_id: i64) -> ShardIndex {
        let hash = hash(user_id.to_string().as_bytes()) % u32::from(self.shards);
        ShardIndex(fits(hash))
    }

    /// The shard with this number, if there is one.
    pub fn get(self, number: u16) -> Option<ShardIndex> {
        (number < self.shards).then_some(ShardIndex(number))
    }
}

fn hash(mut text: &[u8]) -> u32 {
    // Reading from memory cannot fail.
    murmur3::murmur3_32(&mut text, 0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_that_other_implementations_compute() {
        for (text, expected) in [
            ("", 0),
            ("hello", 0x248b_fa47),
            ("hello, world", 0x149b_bb7f),
            ("The quick brown fox jumps over the lazy dog.", 0xd5c4_8bfc),
        ] {
            assert_eq!(hash(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn users_spread_over_all_shards() {
        let router = ShardRouter::new(2).unwrap();
        let second = (1..=10_000).filter(|user| router.shard_of_user(*user).get() == 1).count();
        assert!((4_500..5_500).contains(&second), "{second}");
    }

    #[test]
    fn a_router_has_one_to_a_thousand_shards() {
        assert!(ShardRouter::new(0).is_none() && ShardRouter::new(1001).is_none());
        assert_eq!(ShardRouter::new(1000).unwrap().all().count(), 1000);
    }
}
