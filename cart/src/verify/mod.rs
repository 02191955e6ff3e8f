//! `cart verify`: reads the databases of all shards of cart and of loms, and checks that carts, open
//! checkouts, stored answers and orders fit together.
//!
//! It may run while the shop is working. The databases of cart are read first, those of loms
//! afterwards. So an order that cart knows must be in loms. The converse cannot be checked: cart
//! does not remember an order that it returned to a request without a key.
//!
//! Memory is bounded by a page of rows.

mod error;
mod orders;
mod queries;
mod rows;
mod snapshot;

use service_kit::verify::Report;

use crate::settings::Settings;
use snapshot::Round;

pub use error::VerifyError;

/// Checks every invariant over the primaries of all shards.
///
/// # Errors
/// A database cannot be read, or is not the shard that the settings make it. Then nothing is
/// reported about any invariant.
pub async fn verify(settings: &Settings) -> Result<Report, VerifyError> {
    let Round { router, mut carts, mut orders } = Round::begin(settings).await?;
    let mut report = Report::default();
    for cart in &mut carts {
        report.add(cart.run(rows::checks()).await?);
        report.add([rows::places(cart, router).await?]);
        report.add([orders::checkouts(cart, &mut orders).await?]);
        report.add(orders::answers(cart, &mut orders).await?);
    }
    Round { router, carts, orders }.end().await;
    Ok(report)
}
