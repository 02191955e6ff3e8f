//! What happens when servers or services are away for a while.

mod database;
mod dependencies;
mod kafka;
mod overload;
mod redis;
mod restarts;
mod starting;
mod time_limits;
