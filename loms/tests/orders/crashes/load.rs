//! The clients of a shop whose processes are being killed: they buy, pay, cancel, restock and
//! retry.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use fastrand::Rng;
use futures::future::{join, join_all};
use tokio::time::interval;

use super::client::{Caller, Outcome};
use super::ledger::{Asked, Ledger, Told};
use super::plan::Operation;

const CLIENTS: usize = 16;

/// The shortest interval between two actions of one client.
const PACE: Duration = Duration::from_millis(5);

const USERS: u32 = 40;
pub const SKUS: [u32; 3] = [1, 2, 3];

/// The state shared by the clients of one lane.
pub struct Load<'a> {
    pub operation: Operation,
    pub caller: Caller,
    pub ledger: &'a RefCell<Ledger>,
    /// If set, each create goes to both instances at once, and this instance is the slow one.
    pub twins: Option<usize>,
    stopping: Cell<bool>,
}

impl<'a> Load<'a> {
    pub const fn new(
        operation: Operation,
        caller: Caller,
        ledger: &'a RefCell<Ledger>,
        twins: Option<usize>,
    ) -> Self {
        Self { operation, caller, ledger, twins, stopping: Cell::new(false) }
    }

    /// Lets [`Self::run`] return once every client has the answer to its last call.
    pub fn stop(&self) {
        self.stopping.set(true);
    }

    pub async fn run(&self, seed: u64) {
        join_all(
            (0..CLIENTS as u64).map(|client| self.client(Rng::with_seed(seed ^ client << 32))),
        )
        .await;
    }

    async fn client(&self, mut rng: Rng) {
        let mut pace = interval(PACE);
        while !self.stopping.get() {
            pace.tick().await;
            if let Some(slow) = self.twins {
                self.buy_twice(&mut rng, slow).await;
            } else if self.operation == Operation::Restock && rng.bool() {
                self.restock(&mut rng).await;
            } else {
                self.buy(&mut rng).await;
            }
        }
    }

    async fn buy(&self, rng: &mut Rng) {
        let instance = rng.usize(..2);
        let (user, items) = (rng.u32(1..=USERS), items(rng));
        if rng.u8(..4) == 0 {
            let told = self.caller.create(instance, user, &items, None).await;
            // Without a key, a retry could create a second order.
            if let Told::Created(order) = told {
                self.ledger.borrow_mut().unkeyed.insert(order);
                self.finish(rng, order).await;
            }
            return;
        }
        let (key, asked) = self.keyed(rng, user, items);
        let mut told = self.caller.create(instance, asked.user, &asked.items, Some(&key)).await;
        if told == Told::Unknown && !self.stopping.get() {
            told = self.caller.create(1 - instance, asked.user, &asked.items, Some(&key)).await;
        }
        self.ledger.borrow_mut().told(&key, told);
        if let (Told::Created(order), Told::Unknown) = (told, asked.told) {
            self.finish(rng, order).await;
        }
    }

    /// A new create, or, one time in eight, an old one again.
    fn keyed(&self, rng: &mut Rng, user: u32, items: Vec<(u32, u32)>) -> (String, Asked) {
        let mut ledger = self.ledger.borrow_mut();
        if rng.u8(..8) == 0 && !ledger.creates.is_empty() {
            let nth = rng.usize(..ledger.creates.len());
            if let Some((key, asked)) = ledger.creates.iter().nth(nth) {
                return (key.clone(), asked.clone());
            }
        }
        let (key, asked) = (ledger.name(), Asked { user, items, told: Told::Unknown });
        ledger.creates.insert(key.clone(), asked.clone());
        (key, asked)
    }

    /// One create at both instances. The client pays the order of the quick one before the slow one
    /// reserves.
    async fn buy_twice(&self, rng: &mut Rng, slow: usize) {
        let quick = 1 - slow;
        let (key, asked) = {
            let mut ledger = self.ledger.borrow_mut();
            let asked = Asked { user: rng.u32(1..=USERS), items: items(rng), told: Told::Unknown };
            let key = ledger.name();
            ledger.creates.insert(key.clone(), asked.clone());
            (key, asked)
        };
        let first = async {
            let told = self.caller.create(quick, asked.user, &asked.items, Some(&key)).await;
            self.ledger.borrow_mut().told(&key, told);
            if let Told::Created(order) = told {
                self.pay(quick, order).await;
            }
        };
        let second = async {
            let told = self.caller.create(slow, asked.user, &asked.items, Some(&key)).await;
            self.ledger.borrow_mut().told(&key, told);
        };
        join(first, second).await;
    }

    /// What the client does with its order.
    async fn finish(&self, rng: &mut Rng, order: i64) {
        let (pays, cancels) = match self.operation {
            Operation::Pay => (80, 5),
            Operation::Cancel => (5, 80),
            Operation::Timeout => (10, 10),
            Operation::Create | Operation::Restock | Operation::Relay | Operation::Sweep => {
                (40, 30)
            }
        };
        let (at, other) = if rng.bool() { (0, 1) } else { (1, 0) };
        match rng.u32(..100) {
            // Both at once: one of them wins.
            0..10 => drop(join(self.pay(at, order), self.cancel(other, order)).await),
            n if n < 10 + pays => self.pay(at, order).await,
            n if n < 10 + pays + cancels => self.cancel(at, order).await,
            _ => {}
        }
    }

    async fn pay(&self, instance: usize, order: i64) {
        let outcome = self.caller.pay(instance, order).await;
        let mut ledger = self.ledger.borrow_mut();
        match outcome {
            Outcome::Done => drop(ledger.paid.insert(order)),
            Outcome::Refused => drop(ledger.not_payable.insert(order)),
            Outcome::Unknown => {}
        }
    }

    async fn cancel(&self, instance: usize, order: i64) {
        let outcome = self.caller.cancel(instance, order).await;
        let mut ledger = self.ledger.borrow_mut();
        match outcome {
            Outcome::Done => drop(ledger.cancelled.insert(order)),
            Outcome::Refused => drop(ledger.not_cancellable.insert(order)),
            Outcome::Unknown => {}
        }
    }

    async fn restock(&self, rng: &mut Rng) {
        let (sku, count) = (*rng.choice(&SKUS).unwrap(), rng.i64(1..5));
        let key = self.ledger.borrow_mut().name();
        self.ledger.borrow_mut().restocks.insert(key.clone(), (sku, count, false));
        if self.caller.restock(rng.usize(..2), sku, count, &key).await == Outcome::Done {
            self.ledger.borrow_mut().restocks.insert(key, (sku, count, true));
        }
    }
}

/// One or two lines. The last SKU has less stock than clients want.
fn items(rng: &mut Rng) -> Vec<(u32, u32)> {
    let mut items = vec![(*rng.choice(&SKUS).unwrap(), rng.u32(1..4))];
    if rng.u8(..3) == 0 {
        items.push((*rng.choice(&SKUS).unwrap(), 1));
    }
    items
}
