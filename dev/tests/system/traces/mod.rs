//! What a receiver of traces gets to see, and that nobody else sees whether there is one.

mod batches;
mod checkout;
mod receivers;
mod sampling;
