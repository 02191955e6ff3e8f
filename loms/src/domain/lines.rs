//! The content of an order: how many pieces of which SKU.

use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::Arc;

use super::failure::InvalidArgument;
use super::ids::Sku;

/// Maximum number of lines per order, after lines of the same SKU are summed.
pub const MAX_LINES: usize = 1000;

/// A number of pieces: a positive 32-bit number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(NonZeroU32);

impl Quantity {
    /// The quantity as a number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.get()).map(Self)
    }
}

impl TryFrom<u32> for Quantity {
    type Error = InvalidArgument;

    fn try_from(count: u32) -> Result<Self, InvalidArgument> {
        let count = NonZeroU32::new(count);
        count
            .map(Self)
            .ok_or_else(|| InvalidArgument::new("count", "must be a positive 32-bit integer"))
    }
}

impl From<Quantity> for i64 {
    fn from(quantity: Quantity) -> Self {
        Self::from(quantity.get())
    }
}

/// A number of pieces of one SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The SKU.
    pub sku: Sku,
    /// The number of pieces.
    pub count: Quantity,
}

/// The lines of an order: at least one and at most [`MAX_LINES`], in ascending order of SKU, each
/// SKU once. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines(Arc<[Line]>);

impl Lines {
    /// Sorts the lines by SKU and sums lines of the same SKU.
    ///
    /// # Errors
    /// `InvalidArgument` for `items` if there are none or too many, or if a sum does not fit into
    /// 32 bits.
    pub fn new(lines: impl IntoIterator<Item = Line>) -> Result<Self, InvalidArgument> {
        let mut lines: Vec<Line> = lines.into_iter().collect();
        lines.sort_by_key(|line| line.sku);
        let mut summed: Vec<Line> = Vec::with_capacity(lines.len());
        for line in lines {
            match summed.last_mut() {
                Some(last) if last.sku == line.sku => {
                    last.count = last.count.checked_add(line.count).ok_or_else(|| {
                        InvalidArgument::new(
                            "items",
                            format!(
                                "the counts of sku {} add up to more than 32 bits can hold",
                                line.sku
                            ),
                        )
                    })?;
                }
                _ => summed.push(line),
            }
        }
        if summed.is_empty() {
            return Err(InvalidArgument::new("items", "must hold at least one item"));
        }
        if summed.len() > MAX_LINES {
            return Err(InvalidArgument::new(
                "items",
                format!("must hold at most {MAX_LINES} different SKUs"),
            ));
        }
        Ok(Self(summed.into()))
    }
}

impl Deref for Lines {
    type Target = [Line];

    fn deref(&self) -> &[Line] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(items: &[(u32, u32)]) -> Result<Lines, InvalidArgument> {
        Lines::new(items.iter().map(|(sku, count)| Line {
            sku: Sku::try_from(*sku).unwrap(),
            count: Quantity::try_from(*count).unwrap(),
        }))
    }

    #[test]
    fn lines_are_sorted_and_those_of_one_sku_summed() {
        assert_eq!(lines(&[(3, 1), (1, 2), (3, 4)]).unwrap(), lines(&[(1, 2), (3, 5)]).unwrap());
    }

    #[test]
    fn a_sum_past_32_bits_is_refused() {
        let error = lines(&[(1, u32::MAX), (1, 1)]).unwrap_err();
        assert!(matches!(error, InvalidArgument { field: "items", .. }), "{error:?}");
        assert!(lines(&[(1, u32::MAX - 1), (1, 1)]).is_ok());
    }

    #[test]
    fn an_order_has_one_to_a_thousand_lines() {
        let many: Vec<(u32, u32)> = (1..=1001).map(|sku| (sku, 1)).collect();
        assert!(lines(&[]).is_err() && lines(&many).is_err());
        assert_eq!(lines(&many[1..]).unwrap().len(), 1000);
    }
}
