//! Checks the total of each SKU: the seeded total plus restocks, less paid pieces.
//!
//! The pieces of an order have left the stock if it was paid before the stock was read and its
//! reservation was gone by then. Orders paid later still held a reservation, except the few that
//! were both created and paid between the snapshots. So the pieces taken from the stock lie between
//! two sums. The sums are equal when nothing happens in between.
//!
//! Anything outside this range is a violation. If the sums differ and the stock lies between them,
//! nothing more can be concluded, and the SKU is open.

use std::collections::HashSet;
use std::time::Duration;

use super::error::VerifyError;
use super::queries::{self, PaidOrder, Pieces, StockRow};
use super::reservations::{orders, without_reservation};
use super::snapshot::Round;
use service_kit::verify::{Finding, Invariant};

static TOTAL: Invariant = Invariant {
    name: "stock-total-is-unpaid",
    says: "the total of a SKU is what was seeded and restocked, minus what was paid",
    checked: "SKUs",
    ids: "SKUs",
};

/// Compares totals. `held_by_paid` are the pieces that paid orders still held when the stock was
/// read.
pub(super) async fn compare(
    round: &mut Round,
    held_by_paid: &Pieces,
) -> Result<Finding, VerifyError> {
    let mut paid = Pieces::new();
    for snapshot in &mut round.after {
        snapshot.read(async |connection| queries::paid(connection, &mut paid).await).await?;
    }
    let undecided = undecided(round).await?;
    let of = |pieces: &Pieces, sku| pieces.get(&sku).copied().unwrap_or_default();
    let mut finding = Finding::of(&TOTAL);
    let mut known = HashSet::new();
    for StockRow { sku, total, delivered: seeded } in round.stock.read(queries::stock).await? {
        known.insert(sku);
        // Another check reports SKUs that were never seeded.
        let (Some(total), Some(seeded)) = (total, seeded) else { continue };
        finding.checked += 1;
        let most = of(&paid, sku) - of(held_by_paid, sku);
        let least = most - of(&undecided, sku);
        if !(least..=most).contains(&(seeded - total)) {
            finding.violated_by(sku);
        } else if least < most {
            finding.open += 1;
        }
    }
    for (sku, _) in paid.into_iter().filter(|(sku, _)| !known.contains(sku)) {
        finding.checked += 1;
        finding.violated_by(sku);
    }
    Ok(finding)
}

/// The pieces of paid orders for which the snapshots do not show whether the stock was already
/// settled. These orders were created and paid between the two snapshots of orders, and had no
/// reservation when the stock was read.
async fn undecided(round: &mut Round) -> Result<Pieces, VerifyError> {
    let mut pieces = Pieces::new();
    for index in 0..round.after.len() {
        let mut last = 0;
        loop {
            let after = &mut round.after[index];
            let page =
                after.read(async |connection| queries::paid_lately(connection, last).await).await?;
            let Some(PaidOrder { id: end, .. }) = page.last() else { break };
            last = *end;
            let ids: Vec<i64> = page.iter().map(|order| order.id).collect();
            let before = orders(round.router, &mut round.before, &ids, Duration::ZERO).await?;
            let begun: Vec<i64> = ids.into_iter().filter(|id| !before.contains_key(id)).collect();
            let gone: HashSet<i64> =
                without_reservation(&mut round.stock, &begun).await?.into_iter().collect();
            for PaidOrder { skus, counts, .. } in
                page.iter().filter(|order| gone.contains(&order.id))
            {
                queries::add(&mut pieces, skus, counts);
            }
        }
    }
    Ok(pieces)
}
