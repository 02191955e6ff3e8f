//! loms over gRPC: what each method answers, and when it refuses.

mod concurrency;
mod creating;
mod idempotency;
mod limits;
mod listing;
mod refusals;
mod restocking;
mod server;
mod shards;
mod states;
mod stocks;
