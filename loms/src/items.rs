//! Lines as the database stores them: two arrays of equal length, one of SKUs and one of counts.

use shared_actors::fits;

use crate::domain::{Line, Lines, Quantity, Sku};

/// The lines of many orders in one pair of arrays. Positions `first[n]..=last[n]`, counted from 1,
/// belong to order `n`.
///
/// `PostgreSQL` has no ragged arrays. A statement about many orders slices the lines of each order
/// out of the long arrays.
#[derive(Default)]
pub(crate) struct ItemArrays {
    pub skus: Vec<i64>,
    pub counts: Vec<i64>,
    pub first: Vec<i32>,
    pub last: Vec<i32>,
}

impl ItemArrays {
    pub fn collect<'a>(orders: impl Iterator<Item = &'a Lines>) -> Self {
        let mut arrays = Self::default();
        for lines in orders {
            arrays.first.push(arrays.position() + 1);
            arrays.skus.extend(lines.iter().map(|line| i64::from(line.sku)));
            arrays.counts.extend(lines.iter().map(|line| i64::from(line.count)));
            arrays.last.push(arrays.position());
        }
        assert_eq!(arrays.skus.len(), arrays.counts.len(), "each line has a SKU and a count");
        assert_eq!(arrays.first.len(), arrays.last.len(), "each order has a first and a last line");
        arrays
    }

    /// A batch is a few hundred orders of at most [`crate::domain::MAX_LINES`] lines.
    fn position(&self) -> i32 {
        fits(self.skus.len())
    }
}

/// Combines the two arrays of a row into lines.
///
/// # Errors
/// `Decode`, if they are not valid lines of an order.
pub(crate) fn lines(skus: &[i64], counts: &[i64]) -> Result<Lines, sqlx::Error> {
    let line = |(sku, count): (&i64, &i64)| {
        let sku = Sku::try_from(u32::try_from(*sku).ok()?).ok()?;
        let count = Quantity::try_from(u32::try_from(*count).ok()?).ok()?;
        Some(Line { sku, count })
    };
    let lines: Option<Vec<Line>> = skus.iter().zip(counts).map(line).collect();
    let wrong = || format!("a row does not contain valid order lines: {skus:?} {counts:?}");
    let lines = lines.filter(|_| skus.len() == counts.len());
    lines
        .and_then(|lines| Lines::new(lines).ok())
        .ok_or_else(|| sqlx::Error::Decode(wrong().into()))
}

/// Converts a column to the domain's type. A value that does not fit is a decode error.
pub(crate) fn decoded<T, U>(value: T) -> Result<U, sqlx::Error>
where
    U: TryFrom<T>,
    U::Error: std::error::Error + Send + Sync + 'static,
{
    U::try_from(value).map_err(undecodable)
}

/// Wraps a conversion error as a decode error.
pub(crate) fn undecodable(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

/// Converts a row count as reported by the database.
pub(crate) fn count(rows: u64) -> usize {
    fits(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back_from_their_slice_of_the_arrays() {
        let orders = [lines(&[1, 2], &[3, 4]).unwrap(), lines(&[7], &[1]).unwrap()];
        let arrays = ItemArrays::collect(orders.iter());
        assert_eq!((arrays.first, arrays.last), (vec![1, 3], vec![2, 3]));
        assert_eq!(lines(&arrays.skus[2..3], &arrays.counts[2..3]).unwrap(), orders[1]);
    }

    #[test]
    fn a_row_that_cannot_be_an_order_is_a_defect() {
        for (sku, count) in [(0, 1), (1, 0), (-1, 1), (1 << 32, 1), (1, 1 << 32)] {
            assert!(
                matches!(lines(&[sku], &[count]), Err(sqlx::Error::Decode(_))),
                "{sku} {count}"
            );
        }
    }
}
