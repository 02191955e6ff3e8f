//! The lines of a cart and how they change.

use std::collections::BTreeMap;

use super::{CartError, Quantity, Sku};

/// The maximum number of lines in a cart; an order has the same limit.
pub const MAX_LINES: usize = 1000;

/// Some pieces of one SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The product.
    pub sku: Sku,
    /// The number of pieces.
    pub count: Quantity,
}

/// The lines of a cart, one per SKU, ordered by SKU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cart(BTreeMap<Sku, Quantity>);

impl Cart {
    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The lines, ordered by SKU.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = Line> + '_ {
        self.0.iter().map(|(sku, count)| Line { sku: *sku, count: *count })
    }

    /// The cart with `count` more pieces of `sku`; `available` pieces of it can be sold.
    ///
    /// # Errors
    /// `InvalidArgument` if the line would exceed 65,535 pieces, or the cart [`MAX_LINES`] lines.
    /// `OutOfStock` if the line would hold more than `available` pieces.
    pub fn plus(&self, sku: Sku, count: Quantity, available: u64) -> Result<Self, CartError> {
        let held = self.0.get(&sku);
        let total = held.map_or(Some(count), |held| held.checked_add(count));
        let total = total.ok_or_else(|| {
            CartError::invalid("count", format!("the line of SKU {sku} would exceed 65535 pieces"))
        })?;
        if held.is_none() && self.len() >= MAX_LINES {
            return Err(CartError::invalid(
                "sku_id",
                format!("a cart holds at most {MAX_LINES} different SKUs"),
            ));
        }
        if u64::from(total.get()) > available {
            return Err(CartError::OutOfStock { sku, wanted: total.get(), available });
        }
        let mut lines = self.0.clone();
        lines.insert(sku, total);
        Ok(Self(lines))
    }

    /// The cart without the line of `sku`.
    #[must_use]
    pub fn without(&self, sku: Sku) -> Self {
        let mut lines = self.0.clone();
        lines.remove(&sku);
        Self(lines)
    }

    /// The cart without the pieces of `leaving`. Pieces that it no longer holds are ignored.
    #[must_use]
    pub fn minus(&self, leaving: &Self) -> Self {
        let left = |(sku, held): (&Sku, &Quantity)| match leaving.0.get(sku) {
            Some(taken) => held.minus(*taken).map(|left| (*sku, left)),
            None => Some((*sku, *held)),
        };
        Self(self.0.iter().filter_map(left).collect())
    }

    /// The pieces that are also in `other`.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        let common = |(sku, held): (&Sku, &Quantity)| Some((*sku, *held.min(other.0.get(sku)?)));
        Self(self.0.iter().filter_map(common).collect())
    }
}

impl FromIterator<Line> for Cart {
    /// If a SKU occurs several times, the last line wins.
    fn from_iter<I: IntoIterator<Item = Line>>(lines: I) -> Self {
        Self(lines.into_iter().map(|line| (line.sku, line.count)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cart(lines: &[(u32, u16)]) -> Cart {
        let line = |(sku, count): &(u32, u16)| Line {
            sku: sku_of(*sku),
            count: Quantity::new(*count).unwrap(),
        };
        lines.iter().map(line).collect()
    }

    fn sku_of(sku: u32) -> Sku {
        Sku::new(sku).unwrap()
    }

    fn plus(cart: &Cart, sku: u32, count: u16, available: u64) -> Result<Cart, CartError> {
        cart.plus(sku_of(sku), Quantity::new(count).unwrap(), available)
    }

    #[test]
    fn adding_counts_what_the_line_already_holds() {
        let held = cart(&[(7, 3)]);
        assert_eq!(plus(&held, 7, 2, 5).unwrap(), cart(&[(7, 5)]));
        assert_eq!(plus(&held, 8, 5, 5).unwrap(), cart(&[(7, 3), (8, 5)]));
        assert!(matches!(
            plus(&held, 7, 3, 5),
            Err(CartError::OutOfStock { wanted: 6, available: 5, .. })
        ));
    }

    #[test]
    fn a_line_never_wraps() {
        let full = cart(&[(7, 65_535)]);
        assert!(matches!(
            plus(&full, 7, 1, u64::MAX),
            Err(CartError::InvalidArgument { field: "count", .. })
        ));
        assert!(plus(&cart(&[(7, 65_534)]), 7, 1, u64::MAX).is_ok());
    }

    #[test]
    fn a_cart_has_a_bounded_number_of_lines() {
        let lines: Vec<_> = (1..=u32::try_from(MAX_LINES).unwrap()).map(|sku| (sku, 1)).collect();
        let full = cart(&lines);
        assert!(matches!(
            plus(&full, 5000, 1, 9),
            Err(CartError::InvalidArgument { field: "sku_id", .. })
        ));
        assert!(plus(&full, 1, 1, 9).is_ok());
    }

    #[test]
    fn exactly_what_was_ordered_leaves_the_cart() {
        let ordered = cart(&[(1, 2), (2, 5), (3, 1)]);
        let now = cart(&[(1, 2), (2, 7), (4, 9)]);
        assert_eq!(now.minus(&ordered), cart(&[(2, 2), (4, 9)]));
    }

    #[test]
    fn what_two_carts_have_in_common_is_the_smaller_of_each_line() {
        let leaving = cart(&[(1, 2), (2, 5), (3, 1)]);
        assert_eq!(leaving.within(&cart(&[(1, 7), (2, 3), (4, 9)])), cart(&[(1, 2), (2, 3)]));
        assert_eq!(leaving.within(&Cart::default()), Cart::default());
    }

    #[test]
    fn lines_come_in_the_order_of_their_skus() {
        let skus: Vec<u32> =
            cart(&[(9, 1), (2, 1), (5, 1)]).lines().map(|line| line.sku.get()).collect();
        assert_eq!(skus, [2, 5, 9]);
    }
}
