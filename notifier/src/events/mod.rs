//! Order events and how they are parsed. This module does not decide what to do about them.

mod event;
mod parse;

pub use event::{Item, OrderEvent, OrderState};
pub use parse::Poison;
