//! Commands that are sent together.

use futures::future::join_all;
use loms::domain::OrderId;
use proptest::prelude::*;

use super::cases;
use super::commands::{Answer, Command, levels, wish};
use super::linear::explain;
use super::stage::{Stage, send};

/// The commands of one batch are in progress at the same time and may take effect in any order.
/// They are creates, changes and reads, at two instances and on two shards. The actual order is not
/// visible from outside and may differ from the order in which the commands were sent.
///
/// But some order must exist in which the model, executing the commands one by one, gives exactly
/// the answers that they got. The model begins with the state that the previous batches left. It
/// follows that the stock serves as many orders as it can, with all their lines or none. Also,
/// either pay or cancel wins and every client learns which, and one key makes one order. At the end
/// the databases match the model, replayed in these orders.
///
/// One batch never sends the same key to two instances. A second attempt briefly holds stock until
/// it finds that it lost. Meanwhile it may cause refusals that no sequential order would explain.
#[test]
fn commands_sent_together_get_what_some_order_one_by_one_would_give_them() {
    let stage = Stage::set();
    let batches = prop::collection::vec(prop::collection::vec((wish(), 0..2usize), 1..14), 1..8);
    proptest!(cases(24), |(levels in levels(), batches in batches)| {
        let (place, mut model) = stage.next_case(&levels);
        for batch in &batches {
            let known: Vec<OrderId> = model.orders.keys().copied().collect();
            let commands = batch.iter().map(|(wish, instance)| (wish.command(place, &known), *instance));
            let answers = commands.map(|(command, instance)| {
                let shop = &stage.shops[instance_of(&command, instance)];
                async move { (command.clone(), send(shop, command).await) }
            });
            let told: Vec<(Command, Answer)> = stage.play(join_all(answers));
            let Some(after) = explain(&model, &told) else {
                return Err(TestCaseError::fail(format!("no order explains {told:#?} after {model:#?}")));
            };
            model = after;
        }
        stage.play(stage.holds(&model));
    });
    stage.strike();
}

fn instance_of(command: &Command, any: usize) -> usize {
    match command {
        Command::Create(order) if order.key.is_some() => usize::from(order.user.get() % 2 == 0),
        _ => any,
    }
}
