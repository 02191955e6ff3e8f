//! What all commands of the stock share. Each command has a file of its own.

use shared_actors::actor::BatchActor;
use shared_actors::database::Pool;
use tokio::sync::Mutex;

/// How many lines of orders one transaction reserves or settles: one client's large orders hold up nobody's small ones for long.
pub(super) const MAX_LINES_OF_BATCH: u16 = 4_000;

/// Executes the commands of the stock.
pub(super) type StockShardActor = BatchActor<StockShard>;

/// The database of the stock, and the turn to write to it.
pub(super) struct StockShard {
    pub pool: Pool,
    /// Reserving and settling change the same few rows: they queue here, for no connection and no row lock.
    pub turn: Mutex<()>,
}

impl StockShard {
    pub fn new(pool: Pool) -> Self {
        Self { pool, turn: Mutex::new(()) }
    }
}
