//! What happens when servers or services are away for a while.

mod database;
mod dependencies;
mod flood;
mod frozen_shard;
mod instances;
mod kafka;
mod overload;
mod redis;
mod replica;
mod restarts;
mod starting;
mod time_limits;
