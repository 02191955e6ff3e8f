//! The reference model of the shop: pure, one command after the other.

use std::collections::BTreeMap;

use loms::domain::{
    IdempotencyKey, NewOrder, OrderError, OrderId, OrderStatus, Sku, StockError, UserId,
};

use super::commands::{Answer, Command};

/// The total count of a SKU, and how much of it unpaid orders hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub total: i64,
    pub reserved: i64,
}

/// An order and all its states so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    pub order: NewOrder,
    pub states: Vec<OrderStatus>,
}

impl Story {
    pub fn status(&self) -> OrderStatus {
        *self.states.last().unwrap()
    }
}

/// Stock and orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    pub stock: BTreeMap<Sku, Level>,
    pub orders: BTreeMap<OrderId, Story>,
    keys: BTreeMap<(UserId, IdempotencyKey), OrderId>,
}

impl Model {
    pub fn new(stock: impl IntoIterator<Item = (Sku, i64)>) -> Self {
        let level = |(sku, total)| (sku, Level { total, reserved: 0 });
        Self { stock: stock.into_iter().map(level).collect(), ..Self::default() }
    }

    /// Executes a command and returns the answer that the shop must give. A new order gets the id
    /// `fresh`.
    pub fn answer(&mut self, command: &Command, fresh: OrderId) -> Answer {
        match command {
            Command::Create(order) => {
                self.create(order, fresh).map_or_else(Answer::Refused, Answer::Created)
            }
            Command::Pay(order) => self.change(*order, OrderStatus::Payed),
            Command::Cancel(order) => self.change(*order, OrderStatus::Cancelled),
            Command::Info(order) => match self.orders.get(order) {
                Some(story) => Answer::Is(story.status()),
                None => Answer::Refused(OrderError::NotFound(*order)),
            },
            Command::Left(sku) => match self.stock.get(sku) {
                Some(level) => Answer::Left((level.total - level.reserved).try_into().unwrap()),
                None => Answer::StockRefused(StockError::NotFound(*sku)),
            },
        }
    }

    fn create(&mut self, order: &NewOrder, fresh: OrderId) -> Result<OrderId, OrderError> {
        let key = order.key.clone().map(|key| (order.user, key));
        if let Some(known) = key.as_ref().and_then(|key| self.keys.get(key)) {
            let story = &self.orders[known];
            return match story.status() {
                _ if story.order.lines != order.lines => {
                    Err(OrderError::KeyReused { order: *known })
                }
                OrderStatus::Failed => Err(out_of_stock(*known)),
                _ => Ok(*known),
            };
        }
        let there = |sku| self.stock.get(sku).map_or(0, |level| level.total - level.reserved);
        let served = order.lines.iter().all(|line| there(&line.sku) >= i64::from(line.count));
        let status = if served { OrderStatus::AwaitingPayment } else { OrderStatus::Failed };
        let story = Story { order: order.clone(), states: vec![OrderStatus::New, status] };
        assert_eq!(self.orders.insert(fresh, story), None, "an id names one order");
        self.keys.extend(key.map(|key| (key, fresh)));
        if !served {
            return Err(out_of_stock(fresh));
        }
        self.settle(fresh, |level, count| level.reserved += count);
        Ok(fresh)
    }

    fn change(&mut self, order: OrderId, to: OrderStatus) -> Answer {
        let Some(story) = self.orders.get_mut(&order) else {
            return Answer::Refused(OrderError::NotFound(order));
        };
        match story.status() {
            from if from == to => return Answer::Done,
            OrderStatus::AwaitingPayment => story.states.push(to),
            from => return Answer::Refused(OrderError::Forbidden { order, from, to }),
        }
        let taken = i64::from(to == OrderStatus::Payed);
        self.settle(order, |level, count| {
            level.reserved -= count;
            level.total -= taken * count;
        });
        Answer::Done
    }

    fn settle(&mut self, order: OrderId, change: impl Fn(&mut Level, i64)) {
        for line in self.orders[&order].order.lines.iter() {
            change(self.stock.get_mut(&line.sku).unwrap(), line.count.into());
        }
    }
}

/// A refusal without the SKUs that were short, because a repeated refusal does not list them.
pub fn out_of_stock(order: OrderId) -> OrderError {
    OrderError::OutOfStock { order, shortages: Vec::new() }
}
