//! How notifiers fail at which point.

use std::collections::BTreeSet;
use std::path::Path;

use dev::testing::crashes::crash_points;

/// A group of points that run one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// From the topic into the inbox.
    Receive,
    /// The commit of what was received.
    Commit,
    /// From the inbox to the receivers.
    Send,
    /// Dead letters.
    Bury,
    /// Several notifiers at any point.
    Any,
}

/// What happens to notifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One is killed the n-th time it reaches the point, where n is at most this number.
    KilledAt(u32),
    /// All are killed at once.
    AllKilled,
    /// One after the other is killed and started again.
    InTurn,
    /// One stops for so long that Kafka and the others take its work.
    Frozen,
    /// One after the other leaves in an orderly way and joins again.
    Rebalanced,
}

/// One row of the plan.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub point: &'static str,
    pub fault: Fault,
}

impl Operation {
    /// All operations. Those that take longest come first, so that the lanes end together.
    pub const ALL: [Self; 5] = [Self::Send, Self::Bury, Self::Receive, Self::Commit, Self::Any];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Commit => "commit",
            Self::Send => "send",
            Self::Bury => "bury",
            Self::Any => "any",
        }
    }

    pub fn steps(self) -> Vec<Step> {
        let killed = |point, at_most| Step { point, fault: Fault::KilledAt(at_most) };
        let other = |point, fault| Step { point, fault };
        match self {
            Self::Receive => vec![
                killed("inbox::receiving", 1),
                killed("inbox::sent_at_once", 1),
                killed("inbox::received", 1),
                other("(rebalanced)", Fault::Rebalanced),
            ],
            Self::Commit => vec![
                killed("consumer::done", 1),
                killed("consumer::committed", 1),
                other("(frozen)", Fault::Frozen),
            ],
            Self::Send => vec![
                killed("courier::claimed", 6),
                killed("courier::attempted", 6),
                killed("courier::recorded_sent", 6),
                killed("courier::recorded_retries", 1),
                killed("courier::recorded", 6),
            ],
            Self::Bury => vec![
                killed("dead_letters::kept", 1),
                killed("dead_letters::claimed", 1),
                killed("dead_letters::published", 1),
                killed("dead_letters::recorded", 1),
            ],
            Self::Any => {
                vec![other("(anywhere)", Fault::AllKilled), other("(in turn)", Fault::InTurn)]
            }
        }
    }
}

/// Every operation with its points, in order.
pub fn all() -> Vec<(&'static str, &'static str)> {
    let steps = Operation::ALL.into_iter().map(|operation| (operation, operation.steps()));
    steps
        .flat_map(|(operation, steps)| {
            steps.into_iter().map(move |step| (operation.name(), step.point))
        })
        .collect()
}

#[test]
fn the_plan_kills_at_every_point_that_the_notifier_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let consumer = root.join("../shared-actors/kafka/src/consumer");
    let named = crash_points([root.join("src"), consumer]);
    let steps = Operation::ALL.iter().flat_map(|operation| operation.steps());
    let planned: BTreeSet<String> =
        steps.map(|step| step.point.to_owned()).filter(|point| point.contains("::")).collect();
    assert!(!named.is_empty());
    assert_eq!(planned, named);
}
