//! The traces that a receiver gets. The shop works the same with or without a receiver.

mod batches;
mod checkout;
mod receivers;
mod sampling;
