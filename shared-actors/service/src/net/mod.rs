//! The TCP side of both servers: how to listen, how many connections to hold, and how long each
//! client may be silent.

mod activity;
mod connection;
mod descriptors;
mod end;
mod listen;
mod places;
mod wire;

pub(crate) use activity::{Activity, Busy};
pub(crate) use connection::{Connection, Incoming, Patience, Protocol};
pub use descriptors::{TooFewDescriptors, provide_descriptors};
pub(crate) use end::{End, end_of};
pub(crate) use listen::listen;
pub(crate) use places::Places;
use wire::Wire;
