//! Checks orders by themselves: their lines, their keys, and whether they are on the right shard.

use service_kit::shard::{ShardIndex, ShardRouter};

use super::error::VerifyError;
use super::queries::{self, KEYED, ORDERS, SECOND_KEYS, WRONG_LINES};
use service_kit::verify::Snapshot;
use service_kit::verify::{Check, Finding, Invariant};

static LINES: Invariant = Invariant {
    name: "order-lines-valid",
    says: "the lines of an order are in ascending order of SKU, and each SKU and count is a positive 32-bit integer",
    checked: "orders",
    ids: "orders",
};

static KEYS: Invariant = Invariant {
    name: "order-key-unique",
    says: "a user's idempotency key belongs to at most one order of the shard",
    checked: "keyed orders",
    ids: "orders",
};

static OWN: Invariant = Invariant {
    name: "order-id-names-shard",
    says: "an order is on the shard that its id names",
    checked: "orders",
    ids: "orders",
};

static GIVEN: Invariant = Invariant {
    name: "order-id-given",
    says: "the shard's sequence has already issued the id, and will not issue it again",
    checked: "orders",
    ids: "orders",
};

static USERS: Invariant = Invariant {
    name: "order-on-users-shard",
    says: "an order is on its user's shard, according to the current number of shards or a smaller one",
    checked: "users",
    ids: "orders (the first one per user)",
};

const FIRST_SHARD: ShardIndex = ShardIndex::new(0);

/// The checks for each shard of orders that run in SQL.
pub(super) fn checks(shard: ShardIndex) -> Vec<Check> {
    vec![
        Check::new(&LINES, ORDERS, WRONG_LINES),
        Check::new(&KEYS, KEYED, SECOND_KEYS),
        Check::new(&OWN, ORDERS, queries::foreign_ids(shard)),
        Check::new(&GIVEN, ORDERS, queries::ungiven_ids(shard)),
    ]
}

/// The database cannot compute the hash of a user, so users are read. Orders stay where they are
/// when shards are added. An order's shard may therefore be its user's shard in a smaller layout.
pub(super) async fn users(
    snapshot: &mut Snapshot,
    router: ShardRouter,
) -> Result<Finding, VerifyError> {
    let shard = snapshot.shard;
    let mut finding = Finding::of(&USERS);
    // With a single shard, shard 0 was the shard of every user.
    if shard == FIRST_SHARD {
        return Ok(finding);
    }
    let each = |user, order| {
        if !was_shard_of(router, shard, user) {
            finding.violated_by(order);
        }
    };
    finding.checked =
        snapshot.read(async |connection| queries::users(connection, shard, each).await).await?;
    Ok(finding)
}

fn was_shard_of(router: ShardRouter, shard: ShardIndex, user: i64) -> bool {
    let layouts = (shard.get() + 1..=router.len()).filter_map(ShardRouter::new);
    layouts.into_iter().any(|layout| layout.shard_of_user(user) == shard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_may_have_stayed_behind_when_shards_were_added() {
        let router = ShardRouter::new(3).unwrap();
        for user in 1..100 {
            for layout in (1..=3).filter_map(ShardRouter::new) {
                assert!(was_shard_of(router, layout.shard_of_user(user), user), "{user}");
            }
        }
        let never =
            (1..100).filter(|user| !was_shard_of(router, ShardIndex::new(2), *user)).count();
        assert!((50..80).contains(&never), "{never}");
    }
}
