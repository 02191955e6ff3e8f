//! Changes of orders that travel in one batch.

use futures::future::join_all;
use loms::domain::OrderId;
use proptest::prelude::*;
use proptest::sample::Index;

use super::cases;
use super::commands::{Answer, Command, Place, Wish};
use super::model::Model;
use super::stage::{Stage, send};

/// An order of every state but `NEW`, which none is left in, several times over; all of one user, and so on one shard.
fn orders_in_all_states(stage: &Stage, place: Place, model: &mut Model) -> Vec<OrderId> {
    let mut orders = Vec::new();
    for _ in 0..3 {
        for count in [1, 1, 1, 1_000] {
            let create = Wish::Create { user: 0, key: None, items: vec![(0, count), (1, count)] };
            let answer = stage.play(send(&stage.shops[0], create.command(place, &[])));
            orders.push(super::linear::new_order(&answer, model).unwrap());
            model.answer(&create.command(place, &[]), orders[orders.len() - 1]);
        }
        let [.., paid, cancelled, _] = orders[..] else { unreachable!() };
        for command in [Command::Pay(paid), Command::Cancel(cancelled)] {
            assert_eq!(stage.play(send(&stage.shops[0], command.clone())), model.answer(&command, paid));
        }
    }
    orders
}

/// Changes that are sent together to one instance wait in one lane and go to the database in one statement. Other than
/// commands of several kinds, they have an order: the one in which they came. Each gets the answer that it would get if those
/// before it had been carried out one by one, and the orders, their histories and the stock end as they would then.
#[test]
fn changes_in_one_batch_are_as_good_as_one_by_one_in_their_order() {
    let stage = Stage::set();
    let change =
        any::<Index>().prop_flat_map(|order| prop_oneof![Just(Wish::Pay(order)), Just(Wish::Cancel(order))]);
    proptest!(cases(16), |(changes in prop::collection::vec(change, 1..30))| {
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
