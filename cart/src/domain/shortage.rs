//! A SKU of which the stock has too few pieces.

use service_kit::error::Detail;

use super::Sku;

/// A SKU that is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The SKU.
    pub sku: Sku,
    /// How many pieces were wanted.
    pub wanted: u64,
    /// How many pieces can be sold. `None` if loms does not know the SKU.
    pub available: Option<u64>,
}

impl Shortage {
    /// The shortage as an error names it to programs.
    pub fn detail(&self) -> Detail {
        Detail::from([
            ("sku_id", Some(self.sku.get().into())),
            ("wanted", Some(self.wanted)),
            ("available", self.available),
        ])
    }
}
