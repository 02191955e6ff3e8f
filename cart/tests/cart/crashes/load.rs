//! The users of a shop whose processes are being killed.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use fastrand::Rng;
use futures::future::{join, join_all};
use reqwest::Method;
use serde_json::json;
use tokio::time::interval;

use super::ledger::{Action, Ledger};
use crate::support::{Client, Reply};

pub const USERS: i64 = 16;
/// How many requests of one user may be in progress at once, at most two of each.
const HANDS: u64 = 2;
/// There is little of the last one.
pub const SKUS: [u32; 3] = [1003, 1004, 1005];

/// The shortest interval between two requests of one user.
const PACE: Duration = Duration::from_millis(4);

/// The state shared by the users.
pub struct Load<'a> {
    pub clients: [Client; 2],
    pub ledger: &'a RefCell<Ledger>,
    stopping: Cell<bool>,
}

/// How a request ended.
#[derive(Debug)]
pub enum Outcome {
    Done(Option<i64>),
    /// It certainly changed nothing.
    Refused,
    Unknown,
    /// The service was not reached.
    NotSent,
}

impl<'a> Load<'a> {
    pub const fn new(clients: [Client; 2], ledger: &'a RefCell<Ledger>) -> Self {
        Self { clients, ledger, stopping: Cell::new(false) }
    }

    /// Lets [`Self::run`] return. Requests without an answer stay open in the ledger.
    pub fn stop(&self) {
        self.stopping.set(true);
    }

    pub async fn run(&self, seed: u64) {
        let users = (1..=USERS).flat_map(|user| (0..HANDS).map(move |hand| (user, hand)));
        let work = |(user, hand): (i64, u64)| {
            let seed = seed ^ (user.unsigned_abs() * HANDS + hand) << 32;
            self.user(user, Rng::with_seed(seed))
        };
        join_all(users.map(work)).await;
    }

    async fn user(&self, user: i64, mut rng: Rng) {
        let mut pace = interval(PACE);
        while !self.stopping.get() {
            pace.tick().await;
            let (first, second) = (self.action(&mut rng), self.action(&mut rng));
            if rng.u8(..3) == 0 {
                // For example, an addition during a checkout.
                let (one, other) = (rng.usize(..2), rng.usize(..2));
                join(self.perform(user, first, one), self.perform(user, second, other)).await;
            } else {
                self.perform(user, first, rng.usize(..2)).await;
            }
        }
    }

    fn action(&self, rng: &mut Rng) -> Action {
        let sku = SKUS[rng.usize(..SKUS.len())];
        let key = || self.ledger.borrow_mut().name();
        match rng.u8(..20) {
            0..=9 => Action::Add { sku, count: rng.u32(1..4), key: key() },
            10..=11 => Action::Remove { sku },
            12 => Action::Clear,
            13..=14 => Action::Show,
            15..=17 => Action::Checkout { key: None },
            _ => Action::Checkout { key: Some(key()) },
        }
    }

    /// Sends a request until it is answered, to both instances in turn.
    async fn perform(&self, user: i64, action: Action, first: usize) {
        let mut pace = interval(PACE);
        let mut instance = first;
        loop {
            pace.tick().await;
            self.ledger.borrow_mut().sent(user, &action, &SKUS);
            match send(&self.clients[instance], user, &action).await {
                Outcome::Done(order) => {
                    return self.ledger.borrow_mut().done(user, &action, order);
                }
                Outcome::Refused => return,
                Outcome::Unknown | Outcome::NotSent if self.stopping.get() => {
                    return self.ledger.borrow_mut().open.push((user, action));
                }
                Outcome::Unknown | Outcome::NotSent => instance = 1 - instance,
            }
        }
    }
}

/// Sends a request once.
pub async fn send(client: &Client, user: i64, action: &Action) -> Outcome {
    let (method, path, body, key) = match action {
        Action::Add { sku, count, key } => {
            let body = json!({"count": count}).to_string();
            (Method::POST, format!("/user/{user}/cart/{sku}"), Some(body), Some(key.as_str()))
        }
        Action::Remove { sku } => (Method::DELETE, format!("/user/{user}/cart/{sku}"), None, None),
        Action::Clear => (Method::DELETE, format!("/user/{user}/cart"), None, None),
        Action::Show => (Method::GET, format!("/user/{user}/cart"), None, None),
        Action::Checkout { key } => {
            let body = json!({"user": user}).to_string();
            (Method::POST, "/cart/checkout".to_owned(), Some(body), key.as_deref())
        }
    };
    let reply = match client.try_send(method, &path, body, key).await {
        Ok(reply) => reply,
        Err(error) if error.is_connect() => return Outcome::NotSent,
        Err(_) => return Outcome::Unknown,
    };
    let Reply { status, body, .. } = &reply;
    match (status, action) {
        (200, Action::Checkout { .. }) => Outcome::Done(Some(body["orderID"].as_i64().unwrap())),
        (200 | 204, _) | (404, Action::Show) => Outcome::Done(None),
        (404, Action::Checkout { .. }) | (412, Action::Checkout { .. } | Action::Add { .. }) => {
            Outcome::Refused
        }
        (409 | 429 | 502 | 503 | 504, _) => Outcome::Unknown,
        _ => panic!("{action:?} of user {user} was answered {reply:?}"),
    }
}
