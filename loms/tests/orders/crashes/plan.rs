//! Which process is killed at which point, under which load.

use std::collections::BTreeSet;
use std::path::Path;

use dev::testing::crashes::crash_points;

/// What the clients do besides creating orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Restock,
    Pay,
    Cancel,
    /// Nobody pays, and the payment deadline is short.
    Timeout,
    Relay,
    Sweep,
}

impl Operation {
    /// All operations. Those that take longest come first, so that the lanes end together.
    pub const ALL: [Self; 7] = [
        Self::Sweep,
        Self::Create,
        Self::Timeout,
        Self::Relay,
        Self::Cancel,
        Self::Pay,
        Self::Restock,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Restock => "restock",
            Self::Pay => "pay",
            Self::Cancel => "cancel",
            Self::Timeout => "timeout",
            Self::Relay => "relay",
            Self::Sweep => "sweep",
        }
    }

    /// The points at which this operation is killed.
    pub fn steps(self) -> Vec<Step> {
        use Scene::{AfterCrash, Alone, BothAnywhere, Plain, Twins, WithOldKeys};
        let mut steps = match self {
            Self::Create => steps(
                Plain,
                12,
                &[
                    "create::looked_up",
                    "create::numbered",
                    "reserve::at_once",
                    "reserve::locked",
                    "reserve::written",
                    "reserve::committed",
                    "create::reserved",
                    "create::written",
                    "create::told",
                ],
            ),
            Self::Restock => {
                steps(Plain, 6, &["restock::locked", "restock::written", "restock::committed"])
            }
            Self::Pay | Self::Cancel => steps(Plain, 12, &CHANGE),
            Self::Timeout => steps(Plain, 4, &CHANGE),
            Self::Relay => steps(
                Alone,
                8,
                &[
                    "relay::read",
                    "producer::begun",
                    "producer::sent",
                    "producer::committed",
                    "relay::published",
                    "relay::deleted",
                ],
            ),
            Self::Sweep => {
                steps(AfterCrash("change::decided"), 1, &["sweep::late", "sweep::settled"])
            }
        };
        steps.extend(match self {
            Self::Create => self::steps(Twins, 1, &["create::lost", "create::returned"]),
            Self::Timeout => self::steps(Plain, 4, &["sweep::due", "sweep::cancelled"]),
            Self::Relay => self::steps(Alone, 1, &["relay::leased", "relay::fenced"]),
            Self::Sweep => self::steps(
                AfterCrash("create::reserved"),
                1,
                &["sweep::orphans", "sweep::tombstoned", "sweep::fenced", "sweep::returned"],
            ),
            _ => Vec::new(),
        });
        if self == Self::Sweep {
            steps.push(Step { point: "sweep::forgotten", at_most: 1, scene: WithOldKeys });
        }
        steps.push(Step { point: "(anywhere)", at_most: 200, scene: BothAnywhere });
        steps
    }
}

const CHANGE: [&str; 6] = [
    "change::begun",
    "change::decided",
    "change::told",
    "settle::committed",
    "change::settled",
    "change::forgotten",
];

/// The situation in which a process reaches the point.
#[derive(Clone, Copy, Debug)]
pub enum Scene {
    /// Both instances work.
    Plain,
    /// The other instance is killed first, because it would do the work.
    Alone,
    /// The other instance was killed at this point and left work for this one.
    AfterCrash(&'static str),
    /// Clients send each create to both instances at once. They pay the other instance's order
    /// while this one is slow.
    Twins,
    /// There are orders whose keys may expire.
    WithOldKeys,
    /// Both are killed at once, at any point.
    BothAnywhere,
}

/// One row of the plan.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub point: &'static str,
    /// The process is killed the n-th time it reaches the point, where n is at most this number.
    pub at_most: u32,
    pub scene: Scene,
}

fn steps(scene: Scene, at_most: u32, points: &[&'static str]) -> Vec<Step> {
    points.iter().map(|point| Step { point, at_most, scene }).collect()
}

/// Every operation with its points, in the order of [`Operation`].
pub fn all() -> Vec<(&'static str, &'static str)> {
    let mut operations = Operation::ALL;
    operations.sort_by_key(|operation| *operation as usize);
    let steps = operations.into_iter().map(|operation| (operation, operation.steps()));
    steps
        .flat_map(|(operation, steps)| {
            steps.into_iter().map(move |step| (operation.name(), step.point))
        })
        .collect()
}

#[test]
fn the_plan_kills_at_every_point_that_the_code_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = root.join("../shared-actors");
    let named = crash_points([
        root.join("src"),
        shared.join("src"),
        shared.join("kafka/src/producer"),
        shared.join("service/src"),
    ]);
    let planned: BTreeSet<String> = Operation::ALL
        .iter()
        .flat_map(|operation| operation.steps())
        .map(|step| step.point.to_owned())
        .filter(|point| point.contains("::"))
        .collect();
    assert!(!named.is_empty());
    assert_eq!(planned, named);
}
