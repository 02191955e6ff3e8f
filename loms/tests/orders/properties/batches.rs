//! Commands that are sent together.

use futures::future::join_all;
use loms::domain::OrderId;
use proptest::prelude::*;

use super::cases;
use super::commands::{Answer, Command, levels, wish};
use super::linear::explain;
use super::stage::{Stage, send};

/// Commands of one batch are under way at the same time, and so may take effect in any order: of creates, of changes and of
/// reads, at two instances and on two shards. Which one that was is not seen from outside, and need not be the order in which
/// they were sent. But there must be one: an order of the batch in which the model, one by one and beginning with what the
/// batches before left behind, gives each command the very answer that it got. From this follows, among others, that as many
/// are served as the stock allows, with all their lines or none; that one of pay and cancel wins and everybody is told which;
/// and that one key makes one order. At the end the databases hold the model, replayed in these orders.
///
/// One key is never sent to two instances in one batch: what a second attempt holds until it finds that it lost may refuse
/// others for a moment, whom no order one by one would refuse.
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
