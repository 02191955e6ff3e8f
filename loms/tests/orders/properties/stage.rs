//! The environment for all cases of a property: the databases, and two instances of the application
//! on them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use actix::SystemRunner;
use dev::testing::eventually;
use futures::future::join_all;
use loms::domain::{Failure, OrderError, OrderId, OrderStatus, Sku};

use super::commands::{Answer, Command, Place};
use super::model::{Level, Model, out_of_stock};
use crate::invariants;
use crate::shop::{Backend, Shop};

const SOON: Duration = Duration::from_secs(20);

/// The shop of one property. proptest calls each case outside of any runtime, so this holds the
/// runtime that they share.
pub struct Stage {
    pub backend: Backend,
    pub shops: [Shop; 2],
    system: SystemRunner,
    cases: Cell<u32>,
}

impl Stage {
    pub fn set() -> Self {
        let system = actix::System::new();
        let (backend, shops) = system.block_on(async {
            let backend = Backend::new().await;
            let shops = [backend.open(&[]).await, backend.open(&[]).await];
            (backend, shops)
        });
        Self { backend, shops, system, cases: Cell::new(100) }
    }

    /// The ids for another case, with `levels` as the stock of its first SKUs, and the model of it.
    pub fn next_case(&self, levels: &[i64]) -> (Place, Model) {
        let place = Place(self.cases.replace(self.cases.get() + 1));
        let skus = (0..).map(|number| place.sku(number)).zip(levels);
        self.play(async {
            join_all(skus.clone().map(|(sku, level)| self.backend.add_stock(sku.into(), *level)))
                .await
        });
        (place, Model::new(skus.map(|(sku, level)| (Sku::try_from(sku).unwrap(), *level))))
    }

    pub fn play<T>(&self, scene: impl Future<Output = T>) -> T {
        self.system.block_on(scene)
    }

    /// Checks that nothing is left over, and closes the shop.
    pub fn strike(self) {
        let Self { backend, shops, system, .. } = self;
        system.block_on(async {
            invariants::hold(&backend).await;
            for shop in shops {
                shop.close().await;
            }
        });
        system.block_on(async { drop(backend) });
    }

    /// Waits until the databases match the model: its stock, its orders with their histories, and
    /// one reservation per order that awaits payment. The effect of a payment may take a while.
    pub async fn holds(&self, model: &Model) {
        eventually(SOON, "the shop is as the model says", async || {
            let found =
                (self.stock(model).await, self.histories(model).await, self.held(model).await);
            let awaiting =
                |id: &&OrderId| model.orders[*id].status() == OrderStatus::AwaitingPayment;
            let expected = (
                model.stock.clone(),
                model.orders.iter().map(|(id, story)| (*id, story.states.clone())).collect(),
                model.orders.keys().filter(awaiting).map(|id| id.get()).collect(),
            );
            if found == expected { Ok(()) } else { Err(format!("{found:?}, not {expected:?}")) }
        })
        .await;
    }

    async fn stock(&self, model: &Model) -> BTreeMap<Sku, Level> {
        let skus: Vec<i64> = model.stock.keys().map(|sku| i64::from(*sku)).collect();
        let query = "SELECT sku, total_count, reserved_count FROM stock WHERE sku = ANY($1)";
        let query = sqlx::query_as(query).bind(skus);
        let rows: Vec<(i64, i64, i64)> = query.fetch_all(&self.backend.pools[0]).await.unwrap();
        let level = |(sku, total, reserved)| {
            (Sku::try_from(u32::try_from(sku).unwrap()).unwrap(), Level { total, reserved })
        };
        rows.into_iter().map(level).collect()
    }

    /// The states that the orders of the model's users went through.
    async fn histories(&self, model: &Model) -> BTreeMap<OrderId, Vec<OrderStatus>> {
        let users: Vec<i64> = model.orders.values().map(|story| story.order.user.get()).collect();
        let query =
            "SELECT order_id, history.state FROM order_history AS history JOIN orders ON orders.id = order_id
            WHERE user_id = ANY($1) ORDER BY order_id, history.sequence";
        let mut histories = BTreeMap::<OrderId, Vec<OrderStatus>>::new();
        for pool in &self.backend.pools {
            let rows: Vec<(i64, String)> =
                sqlx::query_as(query).bind(&users).fetch_all(pool).await.unwrap();
            for (order, state) in rows {
                let states = histories.entry(OrderId::try_from(order).unwrap()).or_default();
                states.push(state.parse().unwrap());
            }
        }
        histories
    }

    /// The orders of the model's users that hold stock.
    async fn held(&self, model: &Model) -> Vec<i64> {
        let users: Vec<i64> = model.orders.values().map(|story| story.order.user.get()).collect();
        let query = "SELECT order_id FROM reservations WHERE user_id = ANY($1) ORDER BY order_id";
        sqlx::query_scalar(query).bind(users).fetch_all(&self.backend.pools[0]).await.unwrap()
    }
}

/// Sends a command. Repeats a cancellation whose items are not back yet, as its answer asks.
pub async fn send(shop: &Shop, command: Command) -> Answer {
    let done = |done: Result<(), OrderError>| done.map_or_else(Answer::Refused, |()| Answer::Done);
    match command {
        Command::Create(order) => match shop.orders.create(order).await {
            Ok(order) => Answer::Created(order),
            Err(OrderError::OutOfStock { order, .. }) => Answer::Refused(out_of_stock(order)),
            Err(refused) => Answer::Refused(refused),
        },
        Command::Pay(order) => done(shop.orders.pay(order).await),
        Command::Cancel(order) => {
            let cancelled = async || match shop.orders.cancel(order).await {
                Err(OrderError::Failed(Failure::Unavailable { .. })) => None,
                told => Some(told),
            };
            done(eventually(SOON, "a cancellation is told", cancelled).await)
        }
        Command::Info(order) => shop
            .orders
            .info(order)
            .await
            .map_or_else(Answer::Refused, |order| Answer::Is(order.status)),
        Command::Left(sku) => {
            shop.stocks.available(sku).await.map_or_else(Answer::StockRefused, Answer::Left)
        }
    }
}
