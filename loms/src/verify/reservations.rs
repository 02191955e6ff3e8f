//! Compares reservations with orders, which may be on different servers: each reservation must
//! belong to the right order.
//!
//! A reservation exists before its order does, and is gone before the effect of its order is
//! deleted. Orders are read once before the stock and once after it. Therefore:
//!
//! - If a reservation's order was already settled before, and its effect deleted, the reservation
//!   will never be removed.
//! - If an order awaits its payment both before and after, it did so in between, and must have held
//!   its stock.
//!
//! A single moment does not show whether a sweeper will still repair something. Such reservations
//! are suspects, for [`recheck`].
//!
//! [`recheck`]: super::suspects::recheck

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures::future::try_join_all;
use service_kit::shard::ShardRouter;

use super::error::VerifyError;
use super::queries::{self, Content, OrderNow, Pieces, Reservation};
use super::snapshot::Round;
use super::standing::{OWNED, SETTLED, Standing, standing};
use crate::domain::{OrderId, OrderStatus};
use service_kit::verify::Snapshot;
use service_kit::verify::{Finding, Invariant};

static FITTING: Invariant = Invariant {
    name: "reservation-fits-order",
    says: "a reservation has the lines and the user of its order, and its key unless the order is FAILED",
    checked: "reservations",
    ids: "orders",
};

static HOLDING: Invariant = Invariant {
    name: "awaiting-order-holds-stock",
    says: "an AWAITING_PAYMENT order holds a reservation",
    checked: "orders",
    ids: "orders",
};

/// Any suspects beyond this number count as violations at once.
const MAX_SUSPECTS: usize = 100_000;

/// Reservations that a sweeper should have given back, and the invariants that they violate if it
/// does not.
pub(super) type Suspects = BTreeMap<i64, &'static Invariant>;

/// The result of the comparison.
pub(super) struct Compared {
    pub owned: Finding,
    pub settled: Finding,
    pub fitting: Finding,
    pub holding: Finding,
    pub suspects: Suspects,
    /// The pieces that paid orders still held when the stock was read.
    pub held_by_paid: Pieces,
}

impl Compared {
    /// The finding about one of the two invariants on which a reservation's standing depends.
    fn about(&mut self, invariant: &'static Invariant) -> &mut Finding {
        if *invariant == OWNED { &mut self.owned } else { &mut self.settled }
    }

    fn take(
        &mut self,
        reservation: &Reservation,
        before: Option<&OrderNow>,
        after: Option<&OrderNow>,
    ) {
        let id = reservation.order;
        self.owned.checked += 1;
        self.settled.checked += 1;
        match standing(reservation, before) {
            Standing::Owned => {}
            Standing::Open(invariant) => self.about(invariant).open += 1,
            Standing::Late(invariant) if self.suspects.len() < MAX_SUSPECTS => {
                self.suspects.insert(id, invariant);
            }
            Standing::Late(invariant) | Standing::Wrong(invariant) => {
                self.about(invariant).violated_by(id);
            }
        }
        let Some(order) = after else { return };
        self.fitting.checked += 1;
        let failed = order.state == OrderStatus::Failed.as_str();
        let key = if failed { order.content.key.clone() } else { reservation.content.key.clone() };
        if order.content != (Content { key, ..reservation.content.clone() }) {
            self.fitting.violated_by(id);
        }
        if order.state == OrderStatus::Payed.as_str() {
            queries::add(&mut self.held_by_paid, &order.content.skus, &order.content.counts);
        }
    }
}

/// Compares all reservations with all orders.
pub(super) async fn compare(round: &mut Round, grace: Duration) -> Result<Compared, VerifyError> {
    let mut compared = Compared {
        owned: Finding::of(&OWNED),
        settled: Finding::of(&SETTLED),
        fitting: Finding::of(&FITTING),
        holding: awaiting(round, grace).await?,
        suspects: Suspects::new(),
        held_by_paid: Pieces::new(),
    };
    // Reservations without an order, such as seeded ones, have negative ids.
    let mut last = -1;
    loop {
        let page = round
            .stock
            .read(async |connection| queries::reservations(connection, last, grace).await)
            .await?;
        let Some(end) = page.last() else { return Ok(compared) };
        last = end.order;
        let ids: Vec<i64> = page.iter().map(|reservation| reservation.order).collect();
        let before = orders(round.router, &mut round.before, &ids, grace).await?;
        let after = orders(round.router, &mut round.after, &ids, grace).await?;
        for reservation in &page {
            let id = reservation.order;
            compared.take(reservation, before.get(&id), after.get(&id));
        }
    }
}

/// The orders with these ids, each read from the shard that its id names.
pub(super) async fn orders(
    router: ShardRouter,
    snapshots: &mut [Snapshot],
    ids: &[i64],
    grace: Duration,
) -> Result<HashMap<i64, OrderNow>, VerifyError> {
    let of_shard = snapshots.iter_mut().map(async |snapshot| {
        let shard = snapshot.shard;
        let is_own =
            |id: &i64| OrderId::try_from(*id).is_ok_and(|order| order.shard(router) == Some(shard));
        let own: Vec<i64> = ids.iter().copied().filter(is_own).collect();
        snapshot.read(async |connection| queries::orders(connection, &own, grace).await).await
    });
    Ok(try_join_all(of_shard).await?.into_iter().flatten().collect())
}

/// Looks for the reservation of every order that awaits its payment.
async fn awaiting(round: &mut Round, grace: Duration) -> Result<Finding, VerifyError> {
    let mut finding = Finding::of(&HOLDING);
    for index in 0..round.before.len() {
        let mut last = 0;
        loop {
            let before = &mut round.before[index];
            let page =
                before.read(async |connection| queries::awaiting(connection, last).await).await?;
            finding.checked += page.len() as u64;
            let missing = without_reservation(&mut round.stock, &page).await?;
            let after = &mut round.after[index];
            let after = after
                .read(async |connection| queries::orders(connection, &missing, grace).await)
                .await?;
            for id in missing {
                match after.get(&id) {
                    Some(order) if order.state == OrderStatus::AwaitingPayment.as_str() => {
                        finding.violated_by(id);
                    }
                    // It was settled in the meantime.
                    _ => finding.open += 1,
                }
            }
            match page.last() {
                Some(end) => last = *end,
                None => break,
            }
        }
    }
    Ok(finding)
}

/// Those of the orders that hold no reservation.
pub(super) async fn without_reservation(
    stock: &mut Snapshot,
    orders: &[i64],
) -> Result<Vec<i64>, VerifyError> {
    let held = stock
        .read(async |connection| queries::held_by(connection, orders, Duration::ZERO).await)
        .await?;
    let held: HashSet<i64> = held.into_iter().map(|reservation| reservation.order).collect();
    Ok(orders.iter().copied().filter(|id| !held.contains(id)).collect())
}
