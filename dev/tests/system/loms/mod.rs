//! loms over gRPC: the answers of each method, and its errors.

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
