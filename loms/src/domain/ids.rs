//! The ids of SKUs, users and orders.

use std::fmt;

use service_kit::shard::{ShardIndex, ShardRouter};

use super::failure::InvalidArgument;

/// The id of a stock keeping unit: a positive 32-bit number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sku(u32);

impl Sku {
    /// The id as a number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Sku {
    type Error = InvalidArgument;

    fn try_from(sku: u32) -> Result<Self, InvalidArgument> {
        if sku == 0 {
            return Err(InvalidArgument::new("sku", "must be a positive 32-bit integer"));
        }
        Ok(Self(sku))
    }
}

impl From<Sku> for i64 {
    fn from(sku: Sku) -> Self {
        Self::from(sku.0)
    }
}

/// The id of a user: a positive 64-bit number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(i64);

impl UserId {
    /// The id as a number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for UserId {
    type Error = InvalidArgument;

    fn try_from(user: i64) -> Result<Self, InvalidArgument> {
        if user <= 0 {
            return Err(InvalidArgument::new("user", "must be a positive number"));
        }
        Ok(Self(user))
    }
}

/// The id of an order: a positive 64-bit number that also encodes the order's shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(i64);

impl OrderId {
    /// The step between the ids of one shard. The ids of the shards interleave, so that an id names
    /// its shard.
    pub const STEP: i64 = ShardRouter::MAX_SHARDS as i64;

    /// The id as a number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The first id of a shard. The following ones are [`Self::STEP`] apart.
    pub fn first(shard: ShardIndex) -> Self {
        Self(Self::STEP + i64::from(shard.get()))
    }

    /// The shard that the id names; `None` if it names none of `router`.
    pub fn shard(self, router: ShardRouter) -> Option<ShardIndex> {
        if self.0 < Self::STEP {
            return None;
        }
        router.get(u16::try_from(self.0 % Self::STEP).ok()?)
    }
}

impl TryFrom<i64> for OrderId {
    type Error = InvalidArgument;

    fn try_from(id: i64) -> Result<Self, InvalidArgument> {
        if id <= 0 {
            return Err(InvalidArgument::new("order_id", "must be a positive number"));
        }
        Ok(Self(id))
    }
}

macro_rules! display_as_number {
    ($($id:ty),+) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}
display_as_number!(Sku, UserId, OrderId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_positive() {
        assert!(Sku::try_from(0).is_err() && Sku::try_from(u32::MAX).is_ok());
        assert!(
            UserId::try_from(0).is_err()
                && UserId::try_from(-1).is_err()
                && UserId::try_from(1).is_ok()
        );
        assert!(OrderId::try_from(0).is_err() && OrderId::try_from(i64::MAX).is_ok());
    }

    #[test]
    fn an_order_id_names_its_shard_or_none() {
        let router = ShardRouter::new(2).unwrap();
        for (id, shard) in [(1000, 0), (1001, 1), (3001, 1)] {
            assert_eq!(OrderId(id).shard(router), Some(ShardIndex::new(shard)), "{id}");
        }
        for foreign in [1, 999, 1002, 1999] {
            assert_eq!(OrderId(foreign).shard(router), None, "{foreign}");
        }
        assert_eq!(OrderId::first(ShardIndex::new(1)).shard(router), Some(ShardIndex::new(1)));
    }
}
