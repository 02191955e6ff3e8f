//! `loms verify`: reads the databases of all shards, and checks the guarantees of the order
//! protocol.
//!
//! It writes nothing, takes no locks, and may run while loms is serving. Each database is read as
//! of one moment (`snapshot`). Comparisons between databases conclude only what the order of
//! those moments allows (`reservations`, `totals`). Intermediate states that the protocol
//! allows are reported as open, not as violations.
//!
//! Memory is bounded by the number of SKUs, one page of rows, and at most 100,000 suspects.
//! Everything else is counted in SQL. SQL statements are in `queries`; each other file contains
//! one group of invariants.

mod error;
mod events;
mod history;
mod orders;
mod queries;
mod reservations;
mod snapshot;
mod standing;
mod stock;
mod suspects;
mod totals;

use futures::future::try_join_all;
use service_kit::shard::ShardRouter;
use service_kit::verify::Snapshot;
use snapshot::Round;

use crate::settings::Settings;

pub use error::VerifyError;
pub use service_kit::verify::{Finding, Invariant, Report, TOLD_IDS};

/// Checks every invariant over the primaries of all shards.
///
/// # Errors
/// A database cannot be read. Then nothing is reported about any invariant.
pub async fn verify(settings: &Settings) -> Result<Report, VerifyError> {
    let mut round = Round::begin(settings).await?;
    let router = round.router;
    let stock = round.stock.run(stock::checks()).await?;
    let compared = reservations::compare(&mut round, settings.reservation_grace).await?;
    let total = totals::compare(&mut round, &compared.held_by_paid).await?;
    let shards =
        try_join_all(round.before.iter_mut().map(|snapshot| shard(snapshot, router))).await?;
    round.end().await;

    let (mut owned, mut settled) = (compared.owned, compared.settled);
    for (order, invariant) in suspects::recheck(settings, compared.suspects).await? {
        let finding = if *invariant == standing::OWNED { &mut owned } else { &mut settled };
        finding.violated_by(order);
    }
    let mut report = Report::default();
    report.add(stock);
    report.add([total, owned, compared.fitting, compared.holding, settled]);
    for findings in shards {
        report.add(findings);
    }
    Ok(report)
}

/// The findings about the orders of one shard by themselves.
async fn shard(snapshot: &mut Snapshot, router: ShardRouter) -> Result<Vec<Finding>, VerifyError> {
    let mut findings = snapshot.run(orders::checks(snapshot.shard)).await?;
    findings.push(orders::users(snapshot, router).await?);
    findings.extend(snapshot.run(history::checks()).await?);
    findings.extend(snapshot.run(events::checks()).await?);
    Ok(findings)
}
