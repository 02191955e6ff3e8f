//! Commands that wait for each other.

use loms::domain::OrderId;
use proptest::prelude::*;

use super::cases;
use super::commands::{Wish, levels, wish};
use super::linear::new_order;
use super::model::Model;
use super::stage::{Stage, send};
use crate::shop::id;

/// Executed one by one, commands leave no choice: each answer equals the model's, whichever of the
/// two instances is asked. At the end the databases match the model. Only the ids of new orders
/// come from the shop, and no id repeats.
#[test]
fn commands_one_by_one_get_the_answers_of_the_model_and_leave_its_state() {
    let stage = Stage::set();
    let wishes = prop::collection::vec((wish(), 0..2usize), 1..40);
    proptest!(cases(16), |(levels in levels(), wishes in wishes)| {
        let (place, mut model) = stage.next_case(&levels);
        let mut known = Vec::new();
        for (wish, instance) in &wishes {
            let command = wish.command(place, &known);
            let answer = stage.play(send(&stage.shops[*instance], command.clone()));
            let fresh = new_order(&answer, &model).unwrap_or(id(i64::MAX));
            let expected = model.answer(&command, fresh);
            prop_assert_eq!(answer, expected, "{:?}", command);
            known = model.orders.keys().copied().collect::<Vec<OrderId>>();
        }
        stage.play(stage.holds(&model));
    });
    stage.strike();
}

proptest! {
    /// Whatever clients pay and cancel, and however often, an order only makes legal transitions.
    #[test]
    fn the_model_goes_legal_ways_only(
        levels in levels(),
        wishes in prop::collection::vec(wish(), 1..200),
    ) {
        let place = super::commands::Place(0);
        let skus = (0..).map(|number| place.sku(number).try_into().unwrap());
        let mut model = Model::new(skus.zip(levels));
        for (fresh, wish) in (1..).zip(&wishes) {
            let known: Vec<OrderId> = model.orders.keys().copied().collect();
            model.answer(&Wish::command(wish, place, &known), id(fresh));
        }
        for story in model.orders.values() {
            prop_assert!(story.states.windows(2).all(|step| step[0].may_become(step[1])), "{:?}", story);
        }
        for level in model.stock.values() {
            prop_assert!(0 <= level.reserved && level.reserved <= level.total, "{:?}", level);
        }
    }
}
