//! The command to create an order: reserve stock, then insert the order. Workflow of one batch.
//!
//! The batch runs in the actor's own future, so a client that disconnects does not interrupt it. A
//! crash can leave a reservation without an order. A retry under the same key finds that
//! reservation; otherwise the sweeper gives it back.
//!
//! Nothing is reserved until the shard's primary has proved that it answers. If an insert certainly
//! did not happen, the stock of orders without a key is given back at once.

use std::collections::{HashMap, HashSet};

use service_kit::database::DatabaseError;
use shared_actors::actor::{BatchLimits, Command, Commit};
use shared_actors::crash_point;

use super::answers::{
    Answer, Key, Outcome, answer_beside, answer_with, contended, elsewhere, key_of, open_groups,
    outcome_with, too_late, unanswered,
};
use super::queries::{self, Inserted, InsertedRow};
use super::shard::{LIMITS, OrderShard};
use crate::domain::{Failure, NewOrder, OrderError, OrderId, OrderStatus};
use crate::retry::after_conflict;
use crate::stock::{Effect, EffectKind, Reservation, ReservationRequest};

/// How many times a batch is attempted, so that requests that share a key all get an answer. One
/// attempt serves the first request, one the requests with the lines of the key's order. Each
/// attempt that was given up takes one more.
const ROUNDS: usize = 4;

/// Maximum number of order lines that one batch inserts.
const MAX_LINES_OF_BATCH: usize = 4_000;

/// Creates an order.
pub(super) struct CreateOrder(pub NewOrder);

impl Command for CreateOrder {
    type Output = OrderId;
    type Error = OrderError;
    const NAME: &'static str = "create_order";
}

impl Commit<CreateOrder> for OrderShard {
    fn limits(&self) -> BatchLimits {
        BatchLimits { weight: MAX_LINES_OF_BATCH, ..LIMITS }
    }

    fn weight(CreateOrder(order): &CreateOrder) -> usize {
        order.lines.len()
    }

    async fn commit(&self, batch: Vec<CreateOrder>) -> Vec<Answer> {
        let requests: Vec<NewOrder> = batch.into_iter().map(|CreateOrder(order)| order).collect();
        match self.try_create(&requests).await {
            Ok(answers) => answers,
            Err(error) => vec![Err(error); requests.len()],
        }
    }
}

impl OrderShard {
    async fn try_create(&self, requests: &[NewOrder]) -> Result<Vec<Answer>, OrderError> {
        let mut answers: Vec<Option<Answer>> = vec![None; requests.len()];
        self.answer_known(requests, &mut answers).await?;
        for _ in 0..ROUNDS {
            let groups = open_groups(requests, &answers);
            if groups.is_empty() {
                break;
            }
            let leaders: Vec<&NewOrder> = groups.iter().map(|group| &requests[group[0]]).collect();
            let led = match self.attempt(&leaders).await {
                Ok(led) => led,
                Err(error) => {
                    leaders.iter().map(|_| Outcome::Answered(Err(error.clone()))).collect()
                }
            };
            assert_eq!(led.len(), groups.len(), "each group has an outcome");
            for ((group, leader), outcome) in groups.iter().zip(leaders).zip(led) {
                for index in group {
                    answers[*index] = answer_beside(leader, &outcome, &requests[*index]);
                }
            }
        }
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(contended()))).collect())
    }

    /// Answers the requests whose key already led to an order.
    async fn answer_known(
        &self,
        requests: &[NewOrder],
        answers: &mut [Option<Answer>],
    ) -> Result<(), OrderError> {
        let keys: HashSet<Key<'_>> = requests.iter().filter_map(key_of).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let keys: Vec<Key<'_>> = keys.into_iter().collect();
        let known =
            queries::find_by_keys(&self.primary, &keys).await.map_err(DatabaseError::from)?;
        self.pulse.beat();
        for (answer, request) in answers.iter_mut().zip(requests) {
            let order = key_of(request).and_then(|(user, key)| known.get(&(user, key.clone())));
            *answer =
                order.map(|order| answer_with(order.as_ref().map_err(Failure::clone)?, request));
        }
        Ok(())
    }

    /// Reserves stock for the orders, and inserts each in the resulting state.
    async fn attempt(&self, orders: &[&NewOrder]) -> Result<Vec<Outcome>, OrderError> {
        crash_point!("create::looked_up");
        let ids = self.ids.take(&self.primary, orders.len()).await.map_err(DatabaseError::from)?;
        assert_eq!(ids.len(), orders.len(), "each order has an id");
        if let Some(foreign) = ids.iter().find(|id| !self.owns(**id)) {
            let reason = format!("the sequence of the shard's order ids gave {foreign}");
            return Err(Failure::internal(reason).into());
        }
        crash_point!("create::numbered");
        self.prove().await?;
        let requests = ids.iter().zip(orders).map(|(id, order)| request(*id, order)).collect();
        let reservations = self.stock.reserve(requests).await?;
        assert_eq!(reservations.len(), orders.len(), "each order has a reservation");
        crash_point!("create::reserved");

        let mut rows = Vec::with_capacity(orders.len());
        let mut outcomes = Vec::with_capacity(orders.len());
        for ((reservation, own_id), order) in
            reservations.into_iter().zip(ids).zip(orders.iter().copied())
        {
            outcomes.push(match reservation {
                Reservation::Held { order: id } if !self.owns(id) => {
                    Outcome::Answered(Err(elsewhere(id)))
                }
                Reservation::Held { order: id } => {
                    rows.push(Row {
                        inserted: InsertedRow { id, order, failed: false },
                        adopted: id != own_id,
                    });
                    Outcome::Answered(Ok(id))
                }
                Reservation::Short { shortages } => {
                    let inserted = InsertedRow { id: own_id, order, failed: true };
                    rows.push(Row { inserted, adopted: false });
                    Outcome::Answered(Err(OrderError::OutOfStock { order: own_id, shortages }))
                }
                Reservation::KeyReused { order, lines } => Outcome::Reused { order, lines },
            });
        }
        let lost = self.write_down(&rows).await?;
        let mut won = if lost.is_empty() { HashMap::new() } else { self.winners(&lost).await? };
        for outcome in &mut outcomes {
            if let Outcome::Answered(Ok(id) | Err(OrderError::OutOfStock { order: id, .. })) =
                outcome
                && let Some(winner) = won.remove(id)
            {
                *outcome = winner;
            }
        }
        Ok(outcomes)
    }

    /// Inserts the rows. Returns those that already existed.
    async fn write_down<'a, 'b>(
        &self,
        rows: &'b [Row<'a>],
    ) -> Result<Vec<&'b Row<'a>>, OrderError> {
        let wanted: Vec<InsertedRow<'_>> = rows.iter().map(|row| row.inserted).collect();
        match self.insert(&wanted).await {
            Ok(inserted) => {
                self.pulse.beat();
                Ok(rows.iter().filter(|row| !inserted.contains(&row.inserted.id)).collect())
            }
            Err(error) => {
                if error.changed_nothing() {
                    let of_nobody =
                        wanted.iter().filter(|row| !row.failed && row.order.key.is_none());
                    self.give_back(of_nobody.map(|row| row.id).collect()).await;
                }
                Err(error.into())
            }
        }
    }

    /// Inserts orders. Returns the ids of those that did not exist before.
    pub(crate) async fn insert(
        &self,
        rows: &[InsertedRow<'_>],
    ) -> Result<HashSet<OrderId>, DatabaseError> {
        if rows.is_empty() {
            return Ok(HashSet::new());
        }
        // Sorted, so that two instances with the same orders or keys lock them in the same order
        // and cannot deadlock.
        let mut sorted = rows.to_vec();
        sorted.sort_unstable_by_key(|row| (key_of(row.order), row.id));
        let inserted =
            after_conflict(|| queries::insert(&self.primary, &sorted, self.payment_ttl)).await?;
        crash_point!("create::written");
        let Inserted { orders, events } = inserted;
        let inserted: HashSet<OrderId> = orders.into_iter().collect();
        assert!(inserted.len() <= rows.len(), "{} of {} orders", inserted.len(), rows.len());
        self.metrics
            .created(rows.iter().filter(|row| inserted.contains(&row.id)).map(|row| row.failed));
        if let Some(row) = events {
            self.relay.committed(row);
        }
        crash_point!("create::told");
        Ok(inserted)
    }

    /// The outcomes of orders that another request inserted first, under the same key or as the
    /// tombstone of an attempt that was given up. Stock that they hold in addition to the winning
    /// order is given back.
    async fn winners(&self, lost: &[&Row<'_>]) -> Result<HashMap<OrderId, Outcome>, OrderError> {
        let keys: Vec<Key<'_>> = lost.iter().filter_map(|row| key_of(row.inserted.order)).collect();
        let by_key =
            queries::find_by_keys(&self.primary, &keys).await.map_err(DatabaseError::from)?;
        let ids: Vec<i64> = lost.iter().map(|row| row.inserted.id.get()).collect();
        let by_id = queries::find(&self.primary, &ids).await.map_err(DatabaseError::from)?;

        let mut outcomes = HashMap::with_capacity(lost.len());
        let mut surplus = Vec::new();
        for Row { inserted, adopted } in lost {
            let key = inserted.order.key.clone().map(|key| (inserted.order.user, key));
            let winner =
                match key.and_then(|key| by_key.get(&key)).or_else(|| by_id.get(&inserted.id)) {
                    Some(Ok(winner)) if winner.user == inserted.order.user => winner,
                    Some(Err(error)) => {
                        outcomes.insert(inserted.id, Outcome::Answered(Err(error.clone().into())));
                        continue;
                    }
                    _ => {
                        outcomes.insert(inserted.id, Outcome::Answered(Err(unanswered())));
                        continue;
                    }
                };
            let given_up = winner.id == inserted.id
                && winner.status == OrderStatus::Failed
                && !inserted.failed;
            if !inserted.failed && (winner.id != inserted.id || given_up) {
                surplus.push(inserted.id);
            }
            outcomes.insert(
                inserted.id,
                match (given_up, adopted) {
                    (true, true) => Outcome::GivenUp,
                    // Its client has already received a deadline error.
                    (true, false) => Outcome::Answered(Err(too_late(inserted.id))),
                    (false, _) => outcome_with(winner, inserted.order),
                },
            );
        }
        if !surplus.is_empty() {
            crash_point!("create::lost");
            self.give_back(surplus).await;
            crash_point!("create::returned");
        }
        Ok(outcomes)
    }

    /// Gives back the stock of orders that will never exist. A reservation stays if this attempt or
    /// another one under its key may still insert the order. The sweeper decides about it once no
    /// transaction can still be running.
    async fn give_back(&self, orders: Vec<OrderId>) {
        let count = orders.len();
        if count == 0 {
            return;
        }
        let effects = orders.into_iter().map(|order| Effect { order, kind: EffectKind::Return });
        if let Err(error) = self.stock.settle(effects.collect()).await {
            tracing::warn!(%error, count, "reservations without an order were not given back, the sweeper will retry");
        }
    }
}

/// An order to insert.
struct Row<'a> {
    inserted: InsertedRow<'a>,
    /// Its reservation was made by an earlier attempt under its key.
    adopted: bool,
}

fn request(order: OrderId, new: &NewOrder) -> ReservationRequest {
    ReservationRequest { order, user: new.user, key: new.key.clone(), lines: new.lines.clone() }
}
