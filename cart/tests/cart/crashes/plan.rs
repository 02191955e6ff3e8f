//! Which process is killed at which point.

use std::collections::BTreeSet;
use std::path::Path;

use dev::testing::crashes::crash_points;

/// A group of points that run one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Changes of the lines.
    Change,
    /// Checkouts while everything else works.
    Checkout,
    /// The sweepers of cart.
    Sweep,
    /// cart works; loms or the network to it does not.
    Loms,
}

/// What happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An instance of cart is killed the n-th time it reaches the point, where n is at most this
    /// number.
    Cart(u32),
    /// The other instance was killed between the intent and the call to loms. This one is killed
    /// when it reaches the point.
    CartAfterCrash,
    /// An instance of cart is killed after it deleted old keys.
    CartWithOldKeys,
    /// loms is killed the n-th time it reaches the point, where n is at most this number.
    Loms(u32),
    /// loms hangs for longer than any request to cart may take.
    LomsFrozen,
    /// The connections to loms are cut many times.
    LomsCut,
    /// All processes are killed at once, at any point.
    Everything,
}

/// One row of the plan.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub point: &'static str,
    pub fault: Fault,
}

impl Operation {
    /// All operations. Those that take longest come first, so that the lanes end together.
    pub const ALL: [Self; 4] = [Self::Loms, Self::Checkout, Self::Sweep, Self::Change];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Checkout => "checkout",
            Self::Sweep => "sweep",
            Self::Loms => "loms",
        }
    }

    pub fn steps(self) -> Vec<Step> {
        let mut steps = match self {
            Self::Change => steps(
                Fault::Cart(40),
                &["add::claimed", "add::checked", "change::decided", "change::written"],
            ),
            Self::Checkout => steps(
                Fault::Cart(12),
                &[
                    "checkout::begun",
                    "checkout::placed",
                    "checkout::settled",
                    "checkout::reported",
                    "checkout::noted",
                ],
            ),
            Self::Sweep => {
                let mut steps = steps(Fault::CartAfterCrash, &["sweep::found", "sweep::claimed"]);
                steps.push(Step { point: "keys::forgotten", fault: Fault::CartWithOldKeys });
                steps
            }
            Self::Loms => {
                let mut steps = steps(
                    Fault::Loms(12),
                    &[
                        "create::looked_up",
                        "reserve::committed",
                        "create::reserved",
                        "create::written",
                        "create::told",
                    ],
                );
                steps.push(Step { point: "(frozen)", fault: Fault::LomsFrozen });
                steps.push(Step { point: "(cut)", fault: Fault::LomsCut });
                steps
            }
        };
        steps.push(Step { point: "(anywhere)", fault: Fault::Everything });
        steps
    }
}

fn steps(fault: Fault, points: &[&'static str]) -> Vec<Step> {
    points.iter().map(|point| Step { point, fault }).collect()
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
fn the_plan_kills_at_every_point_that_cart_names() {
    let named = crash_points([Path::new(env!("CARGO_MANIFEST_DIR")).join("src")]);
    let steps = Operation::ALL.iter().flat_map(|operation| operation.steps());
    let of_cart = steps.filter(|step| !matches!(step.fault, Fault::Loms(_)));
    let planned: BTreeSet<String> =
        of_cart.map(|step| step.point.to_owned()).filter(|point| point.contains("::")).collect();
    assert!(!named.is_empty());
    assert_eq!(planned, named);
}
