//! cart over REST: the answers of each call, and its errors.

mod adding;
mod bad_input;
mod checkout;
mod concurrency;
mod idempotency;
mod products;
mod removing;
mod routes;
mod showing;
