//! The state that all commands of the stock share. Each command has its own file.

use service_kit::database::Pool;
use shared_actors::actor::BatchActor;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Maximum number of order lines that one transaction reserves or settles. It keeps large orders of
/// one client from delaying small orders of others for long.
pub(super) const MAX_LINES_OF_BATCH: u16 = 4_000;

/// Executes the commands of the stock.
pub(super) type StockShardActor = BatchActor<StockShard>;

/// The database of the stock, and the turn to write to it.
pub(super) struct StockShard {
    pub pool: Pool,
    /// Reserving, settling and restocking change the same few rows. They queue here instead of
    /// waiting for a connection or a row lock.
    pub turn: Mutex<Turn>,
}

/// What the holder of the turn knows.
#[derive(Default)]
pub(super) struct Turn {
    /// When a batch last had to look at each row before it could decide.
    pub contested: Option<Instant>,
}

impl StockShard {
    pub fn new(pool: Pool) -> Self {
        Self { pool, turn: Mutex::default() }
    }
}
