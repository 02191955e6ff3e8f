//! Metrics of orders.

use std::sync::LazyLock;

use prometheus::{IntCounter, IntCounterVec};
use service_kit::database::unreadable_rows;
use shared_actors::metrics;

use crate::domain::OrderStatus;

static ORDERS: LazyLock<IntCounterVec> =
    LazyLock::new(|| metrics::counters("orders_total", "Orders that entered a state.", &["state"]));
static LISTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Lists of orders, by the server that was read: primary or replica.";
    metrics::counters_by("order_lists_total", help, "source", &["primary", "replica"])
});

static EFFECTS_REFUSED: LazyLock<IntCounter> = LazyLock::new(|| {
    let help = "Effects of orders that the stock refused, counted at each attempt.";
    metrics::counter("stock_effects_refused_total", help)
});
static UNREADABLE: LazyLock<IntCounter> = LazyLock::new(|| unreadable_rows("orders"));

/// Counters of orders by the state they entered.
pub(super) struct OrderMetrics {
    by_state: [IntCounter; OrderStatus::ALL.len()],
}

impl OrderMetrics {
    pub fn new() -> Self {
        LazyLock::force(&LISTS);
        LazyLock::force(&EFFECTS_REFUSED);
        LazyLock::force(&UNREADABLE);
        Self { by_state: OrderStatus::ALL.map(|state| ORDERS.with_label_values(&[state.as_str()])) }
    }

    /// Counts new orders. Each item says whether the order failed.
    pub fn created(&self, failed: impl Iterator<Item = bool>) {
        for failed in failed {
            self.entered(OrderStatus::New);
            self.entered(if failed { OrderStatus::Failed } else { OrderStatus::AwaitingPayment });
        }
    }

    pub fn entered(&self, state: OrderStatus) {
        self.by_state[state as usize].inc();
    }
}

/// Counts effects that the stock refused.
pub(super) fn effects_refused(count: usize) {
    EFFECTS_REFUSED.inc_by(count as u64);
}

/// Counts a row that cannot be decoded as an order.
pub(super) fn unreadable() {
    UNREADABLE.inc();
}

/// Counts a list that was served by `source` (`primary` or `replica`).
pub(super) fn list_served(source: &str) {
    LISTS.with_label_values(&[source]).inc();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_own_counter() {
        for (index, state) in OrderStatus::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, index, "{state}");
        }
    }
}
