//! Supervised, bounded, observable actors on actix.
//!
//! An actor is reached only through a typed handle: [`Handle`] for one actor, [`KeyedHandle`] for
//! one actor per key. A handle admits at most its capacity of queued or running commands. Beyond
//! that, it returns [`AskError::Overloaded`] at once. Each admitted command travels in an
//! [`Envelope`] with its permit, its enqueue time, its deadline and its span. It is answered
//! exactly once: by the actor, with [`AskError::DeadlineExceeded`] if it expired before it started,
//! or with [`AskError::Unavailable`] if the actor died during the command.
//!
//! - [`Handle::supervise`] rebuilds an actor that panicked, with exponential backoff, behind the
//!   same handle.
//! - [`BatchActor`] does the I/O of all waiting commands together: implement [`Commit`] for its
//!   state.
//! - [`TaskHandle`] keeps background work running, such as a sweep once per minute.
//! - [`KeyedHandle`] activates one actor per key on demand and passivates it when idle.
//! - [`Arbiters`] are the threads that actors run on.
//!
//! ```
//! use actix::{Actor, Context, Handler};
//! use shared_actors::actor::{ActorOptions, Arbiters, AskError, Command, Envelope, Handle};
//!
//! struct AddStock(u32);
//! impl Command for AddStock {
//!     type Output = u32;
//!     type Error = AskError;
//!     const NAME: &'static str = "add_stock";
//! }
//!
//! struct StockActor { total: u32 }
//! impl Actor for StockActor { type Context = Context<Self>; }
//! impl Handler<Envelope<AddStock>> for StockActor {
//!     type Result = ();
//!     fn handle(&mut self, envelope: Envelope<AddStock>, _: &mut Self::Context) {
//!         let Some((AddStock(count), responder)) = envelope.begin() else { return };
//!         self.total += count;
//!         responder.answer(Ok(self.total));
//!     }
//! }
//!
//! actix::System::new().block_on(async {
//!     let arbiters = Arbiters::new(0);
//!     let stock = Handle::supervise(ActorOptions::new("stock"), arbiters.pick(0), |_| {
//!         StockActor { total: 40 }
//!     });
//!     assert_eq!(stock.ask(AddStock(2)).await.unwrap(), 42);
//!     stock.drain().await;
//! });
//! ```

mod arbiters;
mod batch;
mod command;
mod envelope;
mod gate;
mod handle;
mod keyed;
mod metrics;
mod options;
mod supervisor;
mod task;

/// The address of a thread that actors run on.
pub use actix::ArbiterHandle;
pub use arbiters::Arbiters;
pub use batch::{BatchActor, BatchLimits, Commit, one_by_one};
pub use command::{AskError, Command};
pub use envelope::{Activity, Envelope, Responder};
pub use handle::Handle;
pub use keyed::{KeyedHandle, KeyedOptions};
pub use options::{ActorOptions, Backoff};
pub use task::{Pass, Periodic, StopSignal, TaskHandle};
