//! The shop's products: a fixed list, the same on every machine. The seeded SKUs have hand-written
//! names. The other names are composed from word lists.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Serialize;

/// A product as the product service returns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Product {
    /// The name that users see.
    pub name: String,
    /// In the smallest unit of the shop's currency.
    pub price: u32,
}

const BY_HAND: [(u32, &str, u32); 6] = [
    (773_297_411, "Trail running shoes Meridian 2", 2202),
    (1002, "Merino socks, three pairs", 1490),
    (1003, "Enamel mug Northlight, 350 ml", 890),
    (1004, "Head torch Wren, 200 lm", 2750),
    (1005, "Rain jacket Harbour, unisex", 7990),
    // The highest possible price.
    (4_294_967_295, "Sailing yacht Albatross", 4_294_967_295),
];

/// The kind of product and its lowest price.
const KINDS: [(&str, u32); 16] = [
    ("Backpack", 4500),
    ("Tea towel", 650),
    ("Desk lamp", 3900),
    ("Notebook, dotted", 1150),
    ("Cast iron pan", 5200),
    ("Wool blanket", 6800),
    ("Water bottle", 1750),
    ("Coffee grinder", 4100),
    ("Wall clock", 2900),
    ("Bicycle bell", 950),
    ("Camping stove", 3650),
    ("Fountain pen", 2400),
    ("Garden shears", 1980),
    ("Bread knife", 2650),
    ("Chess set", 3300),
    ("Umbrella", 2150),
];

const LINES: [&str; 20] = [
    "Alder", "Beacon", "Cinder", "Dune", "Ember", "Fjord", "Grove", "Heron", "Isle", "Juniper",
    "Kestrel", "Larch", "Moss", "Nimbus", "Orchard", "Pebble", "Quartz", "Rowan", "Slate", "Tarn",
];

const FIRST_COMPOSED_SKU: u32 = 1006;

static CATALOGUE: LazyLock<BTreeMap<u32, Product>> = LazyLock::new(|| {
    let by_hand =
        BY_HAND.iter().map(|&(sku, name, price)| (sku, Product { name: name.to_owned(), price }));
    let pairs = LINES.iter().flat_map(|line| KINDS.iter().map(move |kind| (line, kind)));
    let composed = (FIRST_COMPOSED_SKU..).zip(pairs).map(|(sku, (line, (kind, lowest)))| {
        let name = format!("{kind} {line}");
        let price = lowest + sku * 7919 % 40 * (lowest / 50);
        (sku, Product { name, price })
    });
    by_hand.chain(composed).collect()
});

/// The product with this SKU, or `None` if the shop does not sell it.
pub fn product(sku: u32) -> Option<&'static Product> {
    CATALOGUE.get(&sku)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_covers_the_seeded_skus_and_some_hundred_more() {
        for sku in [773_297_411, 1002, 1003, 1004, 1005] {
            assert!(product(sku).is_some(), "{sku} is missing");
        }
        assert_eq!(CATALOGUE.len(), 326);
    }

    #[test]
    fn every_product_has_a_name_of_its_own_and_a_price() {
        let names: std::collections::BTreeSet<_> =
            CATALOGUE.values().map(|product| &product.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        assert!(CATALOGUE.values().all(|product| product.price > 0));
    }
}
