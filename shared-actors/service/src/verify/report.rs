//! The findings, formatted for people and scripts.

use std::fmt;

/// Maximum number of violating ids reported per invariant. The others are only counted.
pub const TOLD_IDS: usize = 20;

/// A statement that must hold over the databases.
#[derive(Debug, PartialEq, Eq)]
pub struct Invariant {
    /// Its name, for scripts and runbooks.
    pub name: &'static str,
    /// The statement in words.
    pub says: &'static str,
    /// The things that are checked, in the plural.
    pub checked: &'static str,
    /// The things that the reported ids identify.
    pub ids: &'static str,
}

/// The result of checking one invariant.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The invariant.
    pub invariant: &'static Invariant,
    /// How many rows or pairs of rows were checked.
    pub checked: u64,
    /// How many are in an intermediate state that the protocol allows.
    pub open: u64,
    /// How many violate the invariant.
    pub violations: u64,
    /// The first [`TOLD_IDS`] violating ids, in ascending order.
    pub ids: Vec<i64>,
}

impl Finding {
    /// An empty finding: nothing has been checked yet.
    pub const fn of(invariant: &'static Invariant) -> Self {
        Self { invariant, checked: 0, open: 0, violations: 0, ids: Vec::new() }
    }

    /// Adds one violation.
    pub fn violated_by(&mut self, id: i64) {
        self.violations += 1;
        self.tell([id]);
    }

    /// Adds the finding of another shard, or of another part of this one, about the same invariant.
    pub fn merge(&mut self, other: &Self) {
        self.checked += other.checked;
        self.open += other.open;
        self.violations += other.violations;
        self.tell(other.ids.iter().copied());
    }

    fn tell(&mut self, ids: impl IntoIterator<Item = i64>) {
        self.ids.extend(ids);
        self.ids.sort_unstable();
        self.ids.truncate(TOLD_IDS);
    }
}

/// The results of all invariants. Displays as a table, followed by the ids of violations.
#[derive(Debug, Default)]
pub struct Report {
    /// One finding per invariant.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether every invariant holds.
    pub fn holds(&self) -> bool {
        self.violated().next().is_none()
    }

    /// The findings with violations.
    pub fn violated(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.violations > 0)
    }

    /// Adds findings. Those about the same invariant are merged.
    pub fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            match self.findings.iter_mut().find(|known| known.invariant == finding.invariant) {
                Some(known) => known.merge(&finding),
                None => self.findings.push(finding),
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<30} {:>12} {:<18} {:>8} {:>10}",
            "invariant", "checked", "", "open", "violations"
        )?;
        for Finding { invariant, checked, open, violations, .. } in &self.findings {
            let Invariant { name, checked: unit, .. } = invariant;
            writeln!(f, "{name:<30} {checked:>12} {unit:<18} {open:>8} {violations:>10}")?;
        }
        for finding in self.violated() {
            let Finding { invariant, violations, ids, .. } = finding;
            let told: Vec<String> = ids.iter().map(ToString::to_string).collect();
            write!(
                f,
                "\n{}: {}\n  {} {}",
                invariant.name,
                invariant.says,
                invariant.ids,
                told.join(", ")
            )?;
            let more = violations.saturating_sub(ids.len() as u64);
            if more > 0 {
                write!(f, " and {more} more")?;
            }
            writeln!(f)?;
        }
        match (self.violated().count(), self.findings.len()) {
            (0, all) => write!(f, "\nall {all} invariants hold"),
            (some, all) => write!(f, "\n{some} of {all} invariants are violated"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Invariant =
        Invariant { name: "bounds", says: "enough is there", checked: "SKUs", ids: "SKUs" };

    #[test]
    fn of_many_violations_the_lowest_ids_are_told_and_the_others_counted() {
        let mut report = Report::default();
        for shard in [0, 1] {
            let mut finding = Finding { checked: 100, ..Finding::of(&BOUNDS) };
            (0..15).rev().for_each(|number| finding.violated_by(number * 10 + shard));
            report.add([finding]);
        }
        let finding = &report.findings[0];
        assert_eq!((finding.checked, finding.violations, finding.ids.len()), (200, 30, TOLD_IDS));
        assert_eq!((finding.ids[0], finding.ids[1], finding.ids[19]), (0, 1, 91));
        let text = report.to_string();
        assert!(text.contains("bounds: enough is there\n  SKUs 0, 1, 10, 11"), "{text}");
        assert!(
            text.contains("91 and 10 more") && text.ends_with("1 of 1 invariants are violated"),
            "{text}"
        );
        assert!(!report.holds());
    }

    #[test]
    fn without_violations_there_is_a_table_and_one_sentence() {
        let mut report = Report::default();
        report.add([Finding { checked: 5, open: 1, ..Finding::of(&BOUNDS) }]);
        let lines: Vec<String> = report.to_string().lines().map(str::to_owned).collect();
        assert_eq!(lines[0].len(), lines[1].len());
        assert_eq!(lines[3], "all 1 invariants hold");
    }
}
