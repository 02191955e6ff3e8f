//! Unique users for each test, and an independent implementation of the rule that maps users to
//! shards.

use std::sync::atomic::{AtomicI64, Ordering};

static NEXT: AtomicI64 = AtomicI64::new(1_000_000);

/// A user that no other test uses.
pub fn new_user() -> i64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A user that no other test uses, whose orders are on `shard` of two.
pub fn new_user_on(shard: u32) -> i64 {
    std::iter::repeat_with(new_user).find(|user| shard_of(*user, 2) == shard).unwrap()
}

/// The shard of a user: `murmur3_32(decimal id, seed 0) mod shards`.
pub fn shard_of(user: i64, shards: u32) -> u32 {
    murmur3_32(user.to_string().as_bytes()) % shards
}

fn murmur3_32(key: &[u8]) -> u32 {
    let scramble =
        |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (blocks, rest) = key.as_chunks::<4>();
    let mut hash = 0_u32;
    for block in blocks {
        hash = (hash ^ scramble(u32::from_le_bytes(*block))).rotate_left(13);
        hash = hash.wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let rest = rest.iter().rev().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    hash ^= scramble(rest);
    hash ^= u32::try_from(key.len()).unwrap();
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[test]
fn the_rule_agrees_with_published_hashes() {
    assert_eq!(murmur3_32(b""), 0);
    assert_eq!(murmur3_32(b"hello"), 0x248b_fa47);
    assert_eq!(murmur3_32(b"hello, world"), 0x149b_bb7f);
    assert_eq!(murmur3_32(b"The quick brown fox jumps over the lazy dog"), 0x2e4f_f723);
}
