//! Each user's history is linearizable, while both instances of cart are killed at random.
//!
//! The [`checker`] looks for an order of all requests that agrees with real time and with the
//! [`spec`]. A checkout has two moments, which other requests may see: what is ordered is fixed at
//! the first, and leaves the cart at the second.

mod checker;
mod spec;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use dev::testing::{Proxy, ServiceProcess, free_port};
use fastrand::Rng;
use futures::future::{join, join_all};
use futures::join;
use tokio::time::{interval, sleep};

use self::checker::{Event, is_linearizable};
use self::spec::{Lines, Op, Ret};
use crate::crashes::ledger::Action;
use crate::crashes::load::{Outcome, send};
use crate::support::{Client, Shop};

const USERS: i64 = 30;
/// How many requests of one user are in progress at once.
const HANDS: usize = 2;
const REQUESTS_EACH: u32 = 10;
const SKUS: [u32; 3] = [1003, 1004, 1005];
/// The shortest interval between two requests of one hand.
const PACE: Duration = Duration::from_millis(15);
/// How long each message between cart and loms travels, so that much happens during checkouts.
const DISTANCE: Duration = Duration::from_millis(20);
/// How long a process lives until it is killed.
const LIFE: std::ops::Range<u64> = 100..500;

/// One user's requests and answers.
#[derive(Debug, Default)]
struct History {
    events: Vec<Event>,
    clock: usize,
}

impl History {
    fn begins(&mut self, op: Op) -> usize {
        self.clock += 1;
        self.events.push(Event { op, began: self.clock, answer: None });
        self.events.len() - 1
    }

    fn ended(&mut self, event: usize, ret: Ret) {
        self.clock += 1;
        self.events[event].answer = Some((self.clock, ret));
    }
}

/// Everything that the hands share.
struct Users<'a> {
    shop: &'a Shop,
    clients: [Client; 2],
    histories: RefCell<HashMap<i64, History>>,
    keys: Cell<u64>,
    unanswered: Cell<u32>,
}

impl Users<'_> {
    async fn hand(&self, user: i64, mut rng: Rng) {
        let mut pace = interval(PACE);
        for _ in 0..REQUESTS_EACH {
            pace.tick().await;
            let sku = SKUS[rng.usize(..SKUS.len())];
            match rng.u8(..10) {
                0..=3 => self.add(user, sku, rng.u32(1..4), &mut rng).await,
                4 => self.remove(user, &Action::Remove { sku }, &Op::Remove(sku), &mut rng).await,
                5 => self.remove(user, &Action::Clear, &Op::Clear, &mut rng).await,
                6..=7 => self.show(user, &mut rng).await,
                _ => self.checkout(user, &mut rng).await,
            }
        }
    }

    fn with<T>(&self, user: i64, work: impl FnOnce(&mut History) -> T) -> T {
        work(self.histories.borrow_mut().entry(user).or_default())
    }

    /// Sends a request once.
    async fn send(&self, user: i64, action: &Action, rng: &mut Rng) -> Outcome {
        let outcome = send(&self.clients[rng.usize(..2)], user, action).await;
        if matches!(outcome, Outcome::Unknown | Outcome::NotSent) {
            self.unanswered.set(self.unanswered.get() + 1);
            sleep(PACE).await;
        }
        outcome
    }

    /// An addition has a key and is repeated until it is answered, so it happens once.
    async fn add(&self, user: i64, sku: u32, count: u32, rng: &mut Rng) {
        self.keys.set(self.keys.get() + 1);
        let key = format!("key {}", self.keys.get());
        let action = Action::Add { sku, count, key };
        let event = self.with(user, |history| history.begins(Op::Add(sku, count)));
        while !matches!(self.send(user, &action, rng).await, Outcome::Done(_)) {}
        self.with(user, |history| history.ended(event, Ret::Done));
    }

    /// A removal that is not answered may still happen later, besides its repetition.
    async fn remove(&self, user: i64, action: &Action, op: &Op, rng: &mut Rng) {
        let mut event = self.with(user, |history| history.begins(op.clone()));
        loop {
            match self.send(user, action, rng).await {
                Outcome::Done(_) => break,
                Outcome::NotSent => {}
                _ => event = self.with(user, |history| history.begins(op.clone())),
            }
        }
        self.with(user, |history| history.ended(event, Ret::Done));
    }

    async fn show(&self, user: i64, rng: &mut Rng) {
        let event = self.with(user, |history| history.begins(Op::Show));
        let lines = loop {
            match self.clients[rng.usize(..2)].try_lines(user).await {
                Some(lines) => break lines,
                None => sleep(PACE).await,
            }
        };
        self.with(user, |history| history.ended(event, Ret::Lines(lines)));
    }

    /// Both moments may lie anywhere between the request and its answer. Without an answer, they may
    /// come later or never.
    async fn checkout(&self, user: i64, rng: &mut Rng) {
        let action = Action::Checkout { key: None };
        let (begin, end) =
            self.with(user, |history| (history.begins(Op::Checkout), history.begins(Op::Settle)));
        let ret = match self.send(user, &action, rng).await {
            Outcome::Done(order) => Ret::Ordered(self.lines_of(order.unwrap())),
            Outcome::Refused => Ret::Empty,
            Outcome::NotSent | Outcome::Unknown => return,
        };
        self.with(user, |history| {
            history.ended(begin, ret.clone());
            history.ended(end, ret);
        });
    }

    fn lines_of(&self, order: i64) -> Lines {
        let orders = self.shop.loms.orders();
        let order = orders.iter().find(|placed| placed.id == order).unwrap();
        order.items.iter().copied().collect()
    }
}

#[actix_web::test]
async fn the_history_of_each_user_is_linearizable_though_both_instances_are_killed() {
    let seed = fastrand::u64(..1_000_000);
    println!("seed {seed}");
    let mut shop = Shop::open().await;
    shop.set("CHECKOUT_GRACE", "100ms").set("SWEEP_INTERVAL", "50ms").set("RUST_LOG", "error");
    let loms = Proxy::to(&shop.loms.address.to_string());
    loms.delay(DISTANCE);
    shop.set("LOMS_BASE_URL", &loms.address());
    let start = async || {
        let mut env = shop.env();
        env.retain(|(name, _)| name != "HOST_PORT");
        env.push(("HOST_PORT".to_owned(), format!("127.0.0.1:{}", free_port())));
        ServiceProcess::start("cart", &env).await
    };
    let (mut one, mut two) = join(start(), start()).await;
    let users = Users {
        shop: &shop,
        clients: [Client::at(one.base_url()), Client::at(two.base_url())],
        histories: RefCell::default(),
        keys: Cell::new(0),
        unanswered: Cell::new(0),
    };
    let done = Cell::new(false);
    let hands = (1..=USERS).flat_map(|user| (0..HANDS as u64).map(move |hand| (user, hand)));
    let hands = join_all(hands.map(|(user, hand)| {
        users.hand(user, Rng::with_seed(seed ^ (user.unsigned_abs() << 32 | hand << 48)))
    }));
    let work = async {
        hands.await;
        done.set(true);
    };
    let kill = async |service: &mut ServiceProcess, seed: u64| {
        let mut rng = Rng::with_seed(seed);
        while !done.get() {
            sleep(Duration::from_millis(rng.u64(LIFE))).await;
            service.restart().await;
        }
    };
    join!(work, kill(&mut one, seed), kill(&mut two, seed + 1));

    shop.all_settled().await;
    for user in 1..=USERS {
        users.show(user, &mut Rng::with_seed(seed)).await;
    }
    assert!(users.unanswered.get() > 0, "the kills were noticed");
    let mut unknown = 0;
    for (user, history) in users.histories.borrow().iter() {
        match is_linearizable(&history.events) {
            Some(true) => {}
            Some(false) => panic!("user {user}, seed {seed}: {history:#?}"),
            None => unknown += 1,
        }
    }
    println!(
        "{} requests were not answered, {unknown} histories are too long to check",
        users.unanswered.get()
    );
    assert!(unknown < USERS / 2, "{unknown} histories are too long to check");
}
