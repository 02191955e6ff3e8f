//! Compares the databases of cart with those of loms.

use std::collections::{BTreeMap, HashMap, HashSet};

use service_kit::verify::{Finding, Invariant, ReadError, Snapshot};
use uuid::Uuid;

use super::queries::{self, Named, Order};

static FITTING: Invariant = Invariant {
    name: "checkout-fits-order",
    says: "if the order of an open checkout exists, it has the lines of the checkout",
    checked: "open checkouts",
    ids: "orders",
};

static ANSWERED: Invariant = Invariant {
    name: "answer-has-order",
    says: "an order that is stored as an answer exists, is not FAILED, and belongs to the user",
    checked: "answered orders",
    ids: "orders",
};

static UNREPORTED: Invariant = Invariant {
    name: "unreported-has-order",
    says: "an order that is kept for the next checkout exists, is not FAILED, and belongs to the user",
    checked: "unreported orders",
    ids: "orders",
};

static MADE: Invariant = Invariant {
    name: "order-made-by-checkout",
    says: "an order that cart returned, or keeps for the next checkout, has the id of a checkout as its idempotency key",
    checked: "orders",
    ids: "orders",
};

static CLOSED: Invariant = Invariant {
    name: "answered-checkout-closed",
    says: "the checkout of an order that is stored as an answer is no longer open",
    checked: "orders",
    ids: "orders",
};

/// Compares the open checkouts of a shard with their orders.
pub(super) async fn checkouts(
    cart: &mut Snapshot,
    orders: &mut [Snapshot],
) -> Result<Finding, ReadError> {
    let mut finding = Finding::of(&FITTING);
    let mut last = i64::MIN;
    loop {
        let page = cart.read(async |connection| queries::checkouts(connection, last).await).await?;
        let Some(highest) = page.last() else { return Ok(finding) };
        last = highest.user_id;
        finding.checked += page.len() as u64;
        let users: Vec<i64> = page.iter().map(|checkout| checkout.user_id).collect();
        let keys: Vec<String> = page.iter().map(|checkout| checkout.id.to_string()).collect();
        let mut lines = HashMap::new();
        for (key, checkout) in keys.iter().zip(&page) {
            lines.insert(key.as_str(), &checkout.lines);
        }
        for shard in &mut *orders {
            let made = shard
                .read(async |connection| queries::orders_of(connection, &users, &keys).await)
                .await?;
            for (id, key, ordered) in made {
                finding.open += 1;
                if lines.get(key.as_str()).is_none_or(|lines| **lines != ordered) {
                    finding.open -= 1;
                    finding.violated_by(id);
                }
            }
        }
    }
}

/// Compares the orders that a shard of cart names as answers with the orders themselves.
pub(super) async fn answers(
    cart: &mut Snapshot,
    orders: &mut [Snapshot],
) -> Result<Vec<Finding>, ReadError> {
    let mut findings = Findings::new();
    let (mut user, mut key) = (i64::MIN, String::new());
    loop {
        let page =
            cart.read(async |connection| queries::answers(connection, user, &key).await).await?;
        let Some(last) = page.last() else { break };
        (user, key) = (last.user_id, last.key.clone());
        findings.compare(&ANSWERED, cart, orders, &page).await?;
    }
    let mut user = i64::MIN;
    loop {
        let page =
            cart.read(async |connection| queries::unreported(connection, user).await).await?;
        let Some(last) = page.last() else { break };
        user = last.user_id;
        findings.compare(&UNREPORTED, cart, orders, &page).await?;
    }
    Ok(findings.0.into_values().collect())
}

struct Findings(BTreeMap<&'static str, Finding>);

impl Findings {
    fn new() -> Self {
        let all = [&ANSWERED, &UNREPORTED, &MADE, &CLOSED];
        Self(all.map(|invariant| (invariant.name, Finding::of(invariant))).into())
    }

    fn of(&mut self, invariant: &'static Invariant) -> &mut Finding {
        self.0.entry(invariant.name).or_insert_with(|| Finding::of(invariant))
    }

    async fn compare(
        &mut self,
        exists: &'static Invariant,
        cart: &mut Snapshot,
        orders: &mut [Snapshot],
        page: &[Named],
    ) -> Result<(), ReadError> {
        let ids: Vec<i64> = page.iter().map(|named| named.order_id).collect();
        let mut found: HashMap<i64, Order> = HashMap::new();
        for shard in orders {
            let orders =
                shard.read(async |connection| queries::orders(connection, &ids).await).await?;
            found.extend(orders.into_iter().map(|order| (order.id, order)));
        }
        let is_named = |named: &Named| {
            found
                .get(&named.order_id)
                .is_some_and(|order| order.user_id == named.user_id && !order.is_failed)
        };
        let finding = self.of(exists);
        finding.checked += page.len() as u64;
        for named in page.iter().filter(|named| !is_named(named)) {
            finding.violated_by(named.order_id);
        }

        // loms forgets the keys of old orders.
        let keyed = found.values().filter_map(|order| Some((order, order.key.as_deref()?)));
        let mut checkouts = HashMap::new();
        for (order, key) in keyed {
            self.of(&MADE).checked += 1;
            match Uuid::parse_str(key) {
                Ok(id) => {
                    checkouts.insert(id, order.id);
                }
                Err(_) => self.of(&MADE).violated_by(order.id),
            }
        }
        let asked: Vec<Uuid> = checkouts.keys().copied().collect();
        let open: HashSet<Uuid> = cart
            .read(async |connection| queries::open(connection, &asked).await)
            .await?
            .into_iter()
            .collect();
        self.of(&CLOSED).checked += asked.len() as u64;
        for id in open {
            self.of(&CLOSED).violated_by(checkouts[&id]);
        }
        Ok(())
    }
}
