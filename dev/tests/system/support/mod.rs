//! Code that the tests share: running services, their clients, and unique values for each test.

mod answer;
mod browser;
mod buyers;
mod cart;
mod clients;
mod collector;
mod events;
mod frozen;
mod loms;
mod memory;
mod notifier;
mod private;
pub mod prometheus;
mod run;
mod samples;
mod shop;
mod trace;
mod tree;
mod users;

pub use answer::{Answer, Rest};
pub use browser::{Browser, keep_picture};
pub use buyers::Buyers;
pub use cart::Cart;
pub use clients::{LomsClient, field_at_fault, items};
pub use collector::{Collector, Span};
pub use events::{Event, EventReader, send};
pub use frozen::{Frozen, kill_all};
pub use loms::{Loms, SEEDS, new_sku};
pub use loms_proto as proto;
pub use memory::{peak_kb, resident_kb};
pub use notifier::Notifier;
pub use private::{Kind, OwnCache, PrivateServers};
pub use prometheus::{Prometheus, promtool};
pub use run::{run_in_folder, run_in_shell, run_to_end};
pub use samples::{Family, Samples, families};
pub use shop::{Settings, Shop};
pub use trace::Trace;
pub use tree::Tree;
pub use users::{new_user, new_user_on, shard_of};

pub use dev::stack::ports::on_loopback;
pub use dev::testing::{Authority, ProductStandIn, Servers, eventually, free_port};

use std::time::Duration;

/// Long enough for anything that should happen soon, on a machine that is busy with other tests.
pub const SOON: Duration = Duration::from_secs(20);

/// Environment variables of a service: names and values.
pub type Env = Vec<(String, String)>;

/// One environment variable.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a value reads better than a reference where it is set"
)]
pub fn set(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}
