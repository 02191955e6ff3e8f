//! The actor of one database: reads and writes the rows of all users who wait, together.

use std::time::Duration;

use actix::{Actor, ArbiterHandle, Context, Handler};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use shared_actors::actor::{ActorOptions, Command, Envelope, GroupCommit, Handle, Lane, LaneLimits};
use shared_actors::database::{DatabaseError, Pool};
use tokio::sync::watch;
use tracing::error;

use super::queries;
use super::state::{Loaded, OpenCheckouts, Write, Written};
use super::transaction::begin_counting;
use crate::domain::{CartError, UserId};
use crate::idempotency::IdempotencyKey;

/// Two statements of a kind at once keep the database busy while the results of one are read.
const LANES: LaneLimits = LaneLimits { max_batch: 256, concurrency: 2 };

/// What a shard's actor needs to know.
#[derive(Clone, Copy, Debug)]
pub struct ShardSettings {
    /// How many commands may wait or run.
    pub capacity: usize,
    /// How long the answer to a keyed request is remembered.
    pub key_ttl: Duration,
}

/// Reads and writes one database of carts.
pub struct CartShardActor {
    pool: Pool,
    key_ttl: Duration,
    loads: Lane<LoadCart>,
    writes: Lane<WriteCart>,
}

/// Asks the actor of one database. Cheap to clone.
#[derive(Clone)]
pub struct CartShard {
    handle: Handle<CartShardActor>,
    prepared: watch::Receiver<bool>,
}

struct LoadCart {
    user: UserId,
    key: Option<IdempotencyKey>,
}

struct WriteCart(Write);

struct FindOpenCheckouts {
    grace: Duration,
    limit: u32,
}

struct ForgetKeys {
    limit: u32,
}

macro_rules! commands {
    ($($command:ty => $output:ty, $name:literal;)*) => {$(
        impl Command for $command {
            type Output = $output;
            type Error = CartError;
            const NAME: &'static str = $name;
        }
    )*};
}

commands! {
    LoadCart => Loaded, "load_cart";
    WriteCart => Written, "write_cart";
    FindOpenCheckouts => OpenCheckouts, "find_open_checkouts";
    ForgetKeys => u64, "forget_keys";
}

impl CartShard {
    /// Starts the actor of the database behind `pool`. `prepared` turns true when its schema is there.
    pub fn start(
        pool: Pool,
        settings: ShardSettings,
        arbiter: &ArbiterHandle,
        prepared: watch::Receiver<bool>,
    ) -> Self {
        begin_counting();
        let options = ActorOptions::new("cart_shard").capacity(settings.capacity);
        let handle = Handle::supervise(options, arbiter, move |_| CartShardActor {
            pool: pool.clone(),
            key_ttl: settings.key_ttl,
            loads: Lane::new(LANES),
            writes: Lane::new(LANES),
        });
        Self { handle, prepared }
    }

    /// Reads the row of `user`, and what is stored under `key`.
    ///
    /// # Errors
    /// `Overloaded`, `Unavailable`, `DeadlineExceeded`.
    pub async fn load(&self, user: UserId, key: Option<IdempotencyKey>) -> Result<Loaded, CartError> {
        self.handle.ask(LoadCart { user, key }).await
    }

    /// Makes a change, if its version is the next one. Answers after the commit.
    ///
    /// # Errors
    /// `Overloaded` before anything happened; after `Unavailable` and `DeadlineExceeded` it may have been made.
    pub async fn write(&self, write: Write) -> Result<Written, CartError> {
        self.handle.ask(WriteCart(write)).await
    }

    /// The checkouts that have been open for longer than `grace`, and the users of up to `limit` that are due.
    ///
    /// # Errors
    /// `Overloaded`, `Unavailable`, `DeadlineExceeded`.
    pub async fn open_checkouts(&self, grace: Duration, limit: u32) -> Result<OpenCheckouts, CartError> {
        self.handle.ask(FindOpenCheckouts { grace, limit }).await
    }

    /// Forgets up to `limit` expired keys and says how many.
    ///
    /// # Errors
    /// `Overloaded`, `Unavailable`, `DeadlineExceeded`.
    pub async fn forget_keys(&self, limit: u32) -> Result<u64, CartError> {
        self.handle.ask(ForgetKeys { limit }).await
    }

    /// Waits until the database has its schema.
    pub async fn until_prepared(&self) {
        // The sender is gone only when the service ends.
        let _ = self.prepared.clone().wait_for(|prepared| *prepared).await;
    }

    /// Answers all that was accepted, then stops.
    pub async fn drain(&self) {
        self.handle.drain().await;
    }
}

impl Actor for CartShardActor {
    type Context = Context<Self>;
}

impl GroupCommit<LoadCart> for CartShardActor {
    fn lane(&mut self) -> &mut Lane<LoadCart> {
        &mut self.loads
    }

    fn commit(&mut self, batch: Vec<LoadCart>) -> LocalBoxFuture<'static, Vec<Result<Loaded, CartError>>> {
        let (pool, key_ttl) = (self.pool.clone(), self.key_ttl);
        async move {
            let asked: Vec<_> = batch.into_iter().map(|LoadCart { user, key }| (user, key)).collect();
            let rows = each(asked.len(), queries::load(&pool, &asked, key_ttl).await);
            let rows = rows.into_iter().zip(&asked);
            rows.map(|(row, (user, _))| row?.map_err(|error| senseless(*user, &error))).collect()
        }
        .boxed_local()
    }
}

impl GroupCommit<WriteCart> for CartShardActor {
    fn lane(&mut self) -> &mut Lane<WriteCart> {
        &mut self.writes
    }

    fn commit(&mut self, batch: Vec<WriteCart>) -> LocalBoxFuture<'static, Vec<Result<Written, CartError>>> {
        let (pool, key_ttl) = (self.pool.clone(), self.key_ttl);
        async move {
            let writes: Vec<_> = batch.into_iter().map(|WriteCart(write)| write).collect();
            each(writes.len(), queries::write(&pool, &writes, key_ttl).await)
        }
        .boxed_local()
    }
}

/// Gives each command of a batch its answer, or all of them the error.
fn each<T>(commands: usize, result: Result<Vec<T>, DatabaseError>) -> Vec<Result<T, CartError>> {
    match result {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        Err(error) => {
            let error = reported(error);
            (0..commands).map(|_| Err(error.clone())).collect()
        }
    }
}

fn senseless(user: UserId, error: &sqlx::Error) -> CartError {
    error!(%user, %error, "cannot decode the row of a cart");
    CartError::Internal
}

fn reported(error: DatabaseError) -> CartError {
    error!(%error, "the database of carts failed");
    error.into()
}

impl Handler<Envelope<LoadCart>> for CartShardActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<LoadCart>, ctx: &mut Self::Context) {
        self.accept(envelope, ctx);
    }
}

impl Handler<Envelope<WriteCart>> for CartShardActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<WriteCart>, ctx: &mut Self::Context) {
        self.accept(envelope, ctx);
    }
}

impl Handler<Envelope<FindOpenCheckouts>> for CartShardActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<FindOpenCheckouts>, _: &mut Self::Context) {
        let pool = self.pool.clone();
        envelope.run(async move |FindOpenCheckouts { grace, limit }| {
            queries::open_checkouts(&pool, grace, limit).await.map_err(reported)
        });
    }
}

impl Handler<Envelope<ForgetKeys>> for CartShardActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<ForgetKeys>, _: &mut Self::Context) {
        let (pool, key_ttl) = (self.pool.clone(), self.key_ttl);
        envelope.run(async move |ForgetKeys { limit }| {
            queries::forget_keys(&pool, key_ttl, limit).await.map_err(reported)
        });
    }
}
