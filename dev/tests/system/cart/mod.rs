//! cart over REST: what each call answers, and when it refuses.

mod adding;
mod bad_input;
mod checkout;
mod concurrency;
mod idempotency;
mod products;
mod removing;
mod routes;
mod showing;
