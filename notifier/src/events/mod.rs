//! Order events: what one says, and how it is read. What is done about one is none of this folder's business.

mod event;
mod parse;

pub use event::{Item, OrderEvent, OrderState};
pub use parse::Poison;
