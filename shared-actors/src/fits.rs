//! Conversions of numbers that fit by construction.

use std::any::type_name;
use std::fmt::Display;

/// Converts a number that cannot be out of range, such as the length of a bounded list.
///
/// ```
/// use shared_actors::fits;
///
/// let count: i32 = fits([1, 2, 3].len());
/// assert_eq!(count, 3);
/// ```
///
/// # Panics
/// Panics if it is out of range, which is a bug of the caller. To clamp it instead would change its
/// meaning without notice.
#[track_caller]
pub fn fits<T: Copy + Display, U: TryFrom<T>>(number: T) -> U {
    U::try_from(number)
        .unwrap_or_else(|_| panic!("{number} is out of the range of {}", type_name::<U>()))
}
