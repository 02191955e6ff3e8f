//! What happens when servers or services are away for a while.

mod database;
mod dead_shard;
mod dependencies;
mod flood;
mod frozen_shard;
mod hanging;
mod instances;
mod kafka;
mod logins;
mod lost_shard;
mod overload;
mod read_only;
mod receiver;
mod redis;
mod replica;
mod restarts;
mod silent;
mod starting;
mod strangers;
mod time_limits;
