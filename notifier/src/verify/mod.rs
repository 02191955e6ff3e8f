//! `notifier verify`: compares the history of orders in the databases of loms with what the notifier
//! has received and sent.
//!
//! It may run while the shop is working. The history is read first. Then it waits until the consumer
//! group has read what is in the topic, so that everything that was published must have been received.
//! The notifier's database is read next, and the history once more, so that everything received must
//! be in it.
//!
//! Memory is bounded by a page of rows.

mod error;
mod history;
mod queries;
mod rows;
mod snapshot;

use service_kit::verify::Report;

use crate::settings::Settings;
use snapshot::Round;

pub use error::VerifyError;

/// The share of `INBOX_TTL` for which rows are checked.
const CHECKED: f64 = 0.9;

/// Checks every invariant. Rows that may soon be forgotten are not checked: different tables forget
/// an order at different moments.
///
/// # Errors
/// A database or Kafka cannot be read. Then nothing is reported about any invariant.
pub async fn verify(settings: &Settings) -> Result<Report, VerifyError> {
    let mut round = Round::begin(settings).await?;
    let checked = settings.inbox_ttl.mul_f64(CHECKED);
    let mut report = Report::default();
    let caught_up = round.caught_up;
    for shard in &mut round.before {
        let received = history::received(shard, &mut round.notifier, checked, caught_up);
        report.add([received.await?]);
    }
    report.add(history::known(&mut round.notifier, &mut round.after, checked).await?);
    report.add(round.notifier.run(rows::checks(checked)).await?);
    round.end().await;
    Ok(report)
}
