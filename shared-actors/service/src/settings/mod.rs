//! Settings from the environment: typed, each with a default, and with all errors reported at once.
//!
//! Each service defines what it reads. This module has the reader and the kinds of values that
//! several services share.

mod env_file;
mod kafka;
mod listen;
mod reader;
mod secret;
mod shards;
mod spelling;
mod value;

pub use kafka::KafkaSettings;
pub use listen::{HostPort, ListenAddress};
pub use reader::{Problem, Reader, SettingsError, listing};
pub use secret::Secret;
pub use shards::{DatabaseSettings, DatabaseTls, ShardDefaults, ShardSettings};
