//! Changes of orders that are executed in one batch.

use futures::future::join_all;
use loms::domain::{OrderId, OrderStatus};
use proptest::prelude::*;
use proptest::sample::Index;

use super::cases;
use super::commands::{Answer, Command, Place, Wish};
use super::linear::new_order;
use super::model::{Model, Story};
use super::stage::{Stage, send};
use crate::shop::id;

/// Orders in every state, some of them more than once. They belong to one user, and therefore to
/// one shard.
fn orders_in_all_states(stage: &Stage, place: Place, model: &mut Model) -> Vec<OrderId> {
    let mut orders = Vec::new();
    for count in [1, 1, 1, 1_000, 1, 1] {
        let create = Wish::Create { user: 0, key: None, items: vec![(0, count), (1, count)] };
        let create = create.command(place, &[]);
        let answer = stage.play(send(&stage.shops[0], create.clone()));
        let order = new_order(&answer, model).unwrap();
        assert_eq!(model.answer(&create, order), answer);
        orders.push(order);
    }
    for command in [Command::Pay(orders[0]), Command::Cancel(orders[1])] {
        assert_eq!(
            stage.play(send(&stage.shops[0], command.clone())),
            model.answer(&command, orders[0])
        );
    }
    orders.push(stage.play(leave_new(stage, orders[2], model)));
    orders
}

/// Creates an order that is still undecided, which the application itself never leaves behind.
async fn leave_new(stage: &Stage, like: OrderId, model: &mut Model) -> OrderId {
    let left = id(like.get() + 500_000_000_000);
    let statement = "WITH left_alone AS (
            INSERT INTO orders (id, state, user_id, skus, counts, sequence)
            SELECT $1, 'NEW', user_id, skus, counts, 1 FROM orders WHERE id = $2
        ) INSERT INTO order_history (order_id, sequence, state) VALUES ($1, 1, 'NEW')";
    let pool = &stage.backend.pools[usize::try_from(like.get() % 1000).unwrap()];
    sqlx::query(statement).bind(left.get()).bind(like.get()).execute(pool).await.unwrap();
    let story = Story { order: model.orders[&like].order.clone(), states: vec![OrderStatus::New] };
    model.orders.insert(left, story);
    left
}

/// Changes that are sent together to one instance queue in one lane and reach the database in one
/// statement. Unlike commands of several types, they have an order: that of their arrival. Each
/// gets the answer that it would get if those before it had been executed one by one. The orders,
/// their histories and the stock also end as they would then.
#[test]
fn changes_in_one_batch_are_as_good_as_one_by_one_in_their_order() {
    let stage = Stage::set();
    let change = any::<Index>()
        .prop_flat_map(|order| prop_oneof![Just(Wish::Pay(order)), Just(Wish::Cancel(order))]);
    proptest!(cases(12), |(changes in prop::collection::vec(change, 1..30))| {
        let (place, mut model) = stage.next_case(&[9, 9]);
        let orders = orders_in_all_states(&stage, place, &mut model);
        let commands: Vec<Command> = changes.iter().map(|wish| wish.command(place, &orders)).collect();
        let answers: Vec<Answer> =
            stage.play(join_all(commands.iter().map(|command| send(&stage.shops[0], command.clone()))));
        for (command, answer) in commands.iter().zip(answers) {
            prop_assert_eq!(&answer, &model.answer(command, orders[0]), "{:?} in {:?}", command, commands);
        }
        stage.play(stage.holds(&model));
    });
    stage.strike();
}
