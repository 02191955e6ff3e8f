//! The results of a run: points, kills, violations.

use std::fmt;

use super::plan::Operation;

/// The rounds of one or more lanes.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
    confirmed: usize,
    events: usize,
    violations: Vec<String>,
}

#[derive(Debug)]
struct Row {
    operation: Operation,
    point: &'static str,
    kills: u32,
    violations: usize,
}

impl Table {
    /// Combines several lanes into one table, in the order of the plan.
    pub fn of_all(lanes: Vec<Self>) -> Self {
        let mut all = lanes.into_iter().fold(Self::default(), |mut all, lane| {
            all.rows.extend(lane.rows);
            all.confirmed += lane.confirmed;
            all.events += lane.events;
            all.violations.extend(lane.violations);
            all
        });
        let planned = |row: &Row| {
            let place = row.operation.steps().iter().position(|step| step.point == row.point);
            (row.operation as usize, place)
        };
        all.rows.sort_by_key(planned);
        all
    }

    /// Adds one round at one point.
    pub fn round(
        &mut self,
        operation: Operation,
        point: &'static str,
        kills: u32,
        wrong: Vec<String>,
    ) {
        let known = self.rows.iter_mut().find(|row| row.point == point);
        if let Some(row) = known {
            row.kills += kills;
            row.violations += wrong.len();
        } else {
            self.rows.push(Row { operation, point, kills, violations: wrong.len() });
        }
        let place = |wrong| format!("{} killed at {point}: {wrong}", operation.name());
        self.violations.extend(wrong.into_iter().map(place));
    }

    /// Ends a lane: adds the numbers of confirmed changes and of events, and what is wrong with the
    /// events.
    pub fn finish(
        &mut self,
        operation: Operation,
        confirmed: usize,
        events: usize,
        wrong: Vec<String>,
    ) {
        self.confirmed += confirmed;
        self.events += events;
        self.violations.extend(
            wrong.into_iter().map(|wrong| format!("events of {}: {wrong}", operation.name())),
        );
    }

    pub fn violations(&self) -> &[String] {
        &self.violations
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<10} {:<22} {:>6} {:>11}", "operation", "killed at", "kills", "violations")?;
        for Row { operation, point, kills, violations } in &self.rows {
            let operation = operation.name();
            writeln!(f, "{operation:<10} {point:<22} {kills:>6} {violations:>11}")?;
        }
        let kills: u32 = self.rows.iter().map(|row| row.kills).sum();
        write!(
            f,
            "{kills} kills at {} points, {} changes confirmed to clients, {} events, {} violations",
            self.rows.len(),
            self.confirmed,
            self.events,
            self.violations.len()
        )
    }
}
