//! The commands of the shop's clients, as generated and as sent.

use loms::domain::{NewOrder, OrderError, OrderId, OrderStatus, Sku, StockError};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::shop::{id, keyed, order};

/// The number of SKUs in one case. Some of them run out, and the last one does not exist.
pub const SKUS: u32 = 4;
/// The number of users in one case, spread over both shards.
const USERS: i64 = 6;
/// An id that no order has.
const NOBODYS: i64 = 900_000_000_001;

/// A command as it is sent.
#[derive(Clone, Debug)]
pub enum Command {
    Create(NewOrder),
    Pay(OrderId),
    Cancel(OrderId),
    Info(OrderId),
    Left(Sku),
}

/// An answer as the client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Created(OrderId),
    Done,
    Is(OrderStatus),
    Left(u64),
    Refused(OrderError),
    StockRefused(StockError),
}

/// A command as it is generated. It names an order by its position among the orders that will
/// exist.
#[derive(Clone, Debug)]
pub enum Wish {
    Create { user: i64, key: Option<&'static str>, items: Vec<(u32, u32)> },
    Pay(Index),
    Cancel(Index),
    Info(Index),
    Left(u32),
}

/// The ids that a case uses. No two cases share a user or a SKU.
#[derive(Clone, Copy, Debug)]
pub struct Place(pub u32);

impl Place {
    pub fn sku(self, number: u32) -> u32 {
        self.0 * 100 + number + 1
    }

    fn user(self, number: i64) -> i64 {
        i64::from(self.0) * 100 + number + 1
    }
}

impl Wish {
    /// The command, given the orders that exist by now.
    pub fn command(&self, place: Place, known: &[OrderId]) -> Command {
        let named =
            |index: &Index| known.get(index.index(known.len() + 1)).copied().unwrap_or(id(NOBODYS));
        match self {
            Self::Create { user, key, items } => {
                let items: Vec<_> =
                    items.iter().map(|(sku, count)| (place.sku(*sku), *count)).collect();
                let user = place.user(*user);
                Command::Create(
                    key.map_or_else(|| order(user, &items), |key| keyed(key, user, &items)),
                )
            }
            Self::Pay(order) => Command::Pay(named(order)),
            Self::Cancel(order) => Command::Cancel(named(order)),
            Self::Info(order) => Command::Info(named(order)),
            Self::Left(sku) => Command::Left(place.sku(*sku).try_into().unwrap()),
        }
    }
}

/// The stock of each SKU of a case except the last, low enough to run out.
pub fn levels() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(0i64..12, (SKUS - 1) as usize)
}

/// Any command. There are few keys and few combinations of items, so keys recur with the same items
/// and with others.
pub fn wish() -> impl Strategy<Value = Wish> {
    let any_items =
        prop::collection::vec((prop_oneof![20 => 0..SKUS - 1, 1 => Just(SKUS - 1)], 1u32..5), 1..4);
    let few_items = select(vec![vec![(0, 2)], vec![(0, 1), (1, 2)]]);
    let create =
        (0..USERS, any_items).prop_map(|(user, items)| Wish::Create { user, key: None, items });
    let keyed = (0..USERS / 2, select(vec!["a", "b"]), few_items)
        .prop_map(|(user, key, items)| Wish::Create { user, key: Some(key), items });
    prop_oneof![
        5 => create,
        3 => keyed,
        4 => any::<Index>().prop_map(Wish::Pay),
        4 => any::<Index>().prop_map(Wish::Cancel),
        1 => any::<Index>().prop_map(Wish::Info),
        1 => (0..SKUS).prop_map(Wish::Left),
    ]
}
