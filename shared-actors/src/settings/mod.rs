//! Settings from the environment: typed, each with a default, and all that is wrong told at once.
//!
//! What a service reads is its own matter; here live the reader and the kinds of values that several share.

mod env_file;
mod listen;
mod reader;
mod secret;
mod shards;
pub(crate) mod spelling;
mod value;

pub use listen::{HostPort, ListenAddress};
pub use reader::{Problem, Reader, SettingsError, listing};
pub use secret::Secret;
pub use shards::{DatabaseSettings, ShardDefaults, ShardSettings};
