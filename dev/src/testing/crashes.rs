//! Tests that kill processes at crash points: what a run found, which points the code names, and
//! the variables that select a run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

/// What a run of crash tests found, by the point at which processes were killed.
#[derive(Debug, Default)]
pub struct CrashTable {
    rows: Vec<Row>,
    counts: BTreeMap<&'static str, usize>,
    violations: Vec<String>,
}

#[derive(Debug)]
struct Row {
    operation: &'static str,
    point: &'static str,
    kills: u32,
    violations: usize,
}

impl CrashTable {
    /// Combines several tables, in the order of `plan`: operations and their points.
    pub fn of_all(tables: Vec<Self>, plan: &[(&str, &str)]) -> Self {
        let mut all = Self::default();
        for table in tables {
            all.rows.extend(table.rows);
            all.violations.extend(table.violations);
            for (what, count) in table.counts {
                all.count(what, count);
            }
        }
        let planned = |row: &Row| plan.iter().position(|step| *step == (row.operation, row.point));
        all.rows.sort_by_key(planned);
        all
    }

    /// Adds one round at one point.
    pub fn round(
        &mut self,
        operation: &'static str,
        point: &'static str,
        kills: u32,
        wrong: Vec<String>,
    ) {
        let known =
            self.rows.iter_mut().find(|row| (row.operation, row.point) == (operation, point));
        if let Some(row) = known {
            row.kills += kills;
            row.violations += wrong.len();
        } else {
            self.rows.push(Row { operation, point, kills, violations: wrong.len() });
        }
        self.violated(&format!("{operation} killed at {point}"), wrong);
    }

    /// Adds violations that belong to no point.
    pub fn violated(&mut self, place: &str, wrong: Vec<String>) {
        self.violations.extend(wrong.into_iter().map(|wrong| format!("{place}: {wrong}")));
    }

    /// Adds to a number of the last line. `what` names it, in the plural.
    pub fn count(&mut self, what: &'static str, count: usize) {
        *self.counts.entry(what).or_default() += count;
    }

    /// Everything that was wrong.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }
}

impl fmt::Display for CrashTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<10} {:<22} {:>6} {:>11}", "operation", "killed at", "kills", "violations")?;
        for Row { operation, point, kills, violations } in &self.rows {
            writeln!(f, "{operation:<10} {point:<22} {kills:>6} {violations:>11}")?;
        }
        let kills: u32 = self.rows.iter().map(|row| row.kills).sum();
        write!(f, "{kills} kills at {} points, ", self.rows.len())?;
        for (what, count) in &self.counts {
            write!(f, "{count} {what}, ")?;
        }
        write!(f, "{} violations", self.violations.len())
    }
}

/// The crash points that the Rust files in `folders` name.
///
/// # Panics
/// Panics if a file cannot be read.
pub fn crash_points<P: AsRef<Path>>(folders: impl IntoIterator<Item = P>) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for folder in folders {
        collect(folder.as_ref(), &mut named);
    }
    named
}

fn collect(folder: &Path, named: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.ends_with("crash.rs") {
            // Its comment shows how to name a crash point.
            continue;
        }
        if path.is_dir() {
            collect(&path, named);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).expect("the file can be read");
            let points =
                source.split("crash_point!(\"").skip(1).filter_map(|rest| rest.split('"').next());
            named.extend(points.map(str::to_owned));
        }
    }
}

/// Which run the environment asks for.
#[derive(Debug)]
pub struct CrashRun {
    /// How often each point is visited (`CRASH_ROUNDS`).
    pub rounds: u64,
    /// What the random choices depend on (`CRASH_SEED`).
    pub seed: u64,
    /// The only operation to run (`CRASH_OPERATION`).
    pub operation: Option<String>,
}

impl CrashRun {
    /// Reads the environment. `any_seed` is the seed if none is set.
    ///
    /// # Panics
    /// Panics if a variable is not a number.
    pub fn from_env(any_seed: u64) -> Self {
        let number = |name| variable(name).map(|value| value.parse().expect("a number"));
        Self {
            rounds: number("CRASH_ROUNDS").unwrap_or(1),
            seed: number("CRASH_SEED").unwrap_or(any_seed),
            operation: variable("CRASH_OPERATION"),
        }
    }

    /// Runs those of `operations` (names and values) that the environment asks for. At most `lanes` of
    /// them run at once, each on its own thread.
    ///
    /// # Panics
    /// Panics if one of them does.
    pub fn in_lanes<O: Send>(
        &self,
        lanes: usize,
        operations: impl IntoIterator<Item = (&'static str, O)>,
        run: impl Fn(O) -> CrashTable + Sync,
    ) -> Vec<CrashTable> {
        let wanted = |name: &str| self.operation.as_ref().is_none_or(|only| only == name);
        let wanted: VecDeque<O> = operations
            .into_iter()
            .filter_map(|(name, operation)| wanted(name).then_some(operation))
            .collect();
        let (waiting, tables) = (Mutex::new(wanted), Mutex::new(Vec::new()));
        let next = || waiting.lock().expect("no lane panics here").pop_front();
        thread::scope(|scope| {
            for _ in 0..lanes {
                scope.spawn(|| {
                    while let Some(operation) = next() {
                        let table = run(operation);
                        tables.lock().expect("no lane panics here").push(table);
                    }
                });
            }
        });
        tables.into_inner().expect("no lane panics here")
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
