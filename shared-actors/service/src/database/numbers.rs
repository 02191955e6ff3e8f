//! Arrays of numbers that fail only their own row if they cannot be decoded.

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::{Decode, Postgres, Type};

/// An array of numbers as read from a row. A row edited by hand may hold a `NULL` or an array of
/// two dimensions. Decoding it is an error of that row only; the other rows are still read.
#[derive(Debug)]
pub struct Numbers<T = i64>(Result<Vec<T>, String>);

impl<T> Numbers<T> {
    /// The numbers.
    ///
    /// # Errors
    /// `Decode`, if they cannot be read.
    pub fn get(&self) -> Result<&[T], sqlx::Error> {
        self.0.as_deref().map_err(|error| sqlx::Error::Decode(error.clone().into()))
    }

    /// The numbers, or an empty list if they cannot be read.
    pub fn or_none(self) -> Vec<T> {
        self.0.unwrap_or_default()
    }
}

impl<T> Type<Postgres> for Numbers<T>
where
    Vec<T>: Type<Postgres>,
{
    fn type_info() -> PgTypeInfo {
        <Vec<T> as Type<Postgres>>::type_info()
    }
}

impl<'r, T> Decode<'r, Postgres> for Numbers<T>
where
    Vec<T>: Decode<'r, Postgres>,
{
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(<Vec<T> as Decode<Postgres>>::decode(value).map_err(|error| error.to_string())))
    }
}
