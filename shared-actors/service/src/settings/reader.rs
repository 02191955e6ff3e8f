//! The reader: one look-up per setting; problems are collected until [`Reader::finish`].

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Secret, SettingsError as Error};
use super::{env_file, spelling, value};
use crate::telemetry;

/// The file that is read if `ENV_PATH` is not set.
const DEFAULT_FILE: &str = "./.env";

/// Reads settings by name. An empty setting counts as not set. A trailing `### comment` is ignored,
/// and numbers may contain underscores.
///
/// ```
/// use service_kit::settings::Reader;
///
/// let mut reader = Reader::from_pairs([("CACHE_CAPACITY", "10_000 ### items"), ("HTTP_PORT", "http")]);
/// assert_eq!(reader.get("CACHE_CAPACITY", 100_u64), 10_000);
/// assert_eq!(reader.get("HTTP_PORT", 8083_u16), 8083);
/// let error = reader.finish().expect_err("HTTP_PORT is wrong");
/// assert!(error.to_string().contains("HTTP_PORT"));
/// ```
pub struct Reader {
    values: BTreeMap<String, String>,
    /// Variables whose value is not UTF-8.
    unreadable: BTreeSet<String>,
    /// Names that were read, whether set or not.
    asked: RefCell<BTreeSet<String>>,
    /// Names of settings whose values are never shown.
    secrets: BTreeSet<String>,
    problems: Vec<Problem>,
}

/// One wrong setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The name of the setting.
    pub name: String,
    /// The setting's value; `None` if it is a secret or not set.
    pub value: Option<String>,
    /// What was expected instead.
    pub expected: String,
}

/// Every wrong setting, one per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// The wrong settings, in the order in which they were found.
    pub problems: Vec<Problem>,
}

impl std::error::Error for SettingsError {}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        write!(f, "{count} wrong setting{}:", if count == 1 { "" } else { "s" })?;
        for Problem { name, value, expected } in &self.problems {
            match value {
                Some(value) => write!(f, "\n  {name}={value:?}: expected {expected}")?,
                None => write!(f, "\n  {name}: expected {expected}")?,
            }
        }
        Ok(())
    }
}

/// The lines that [`listing`] returns.
static LISTING: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn remember(lines: Vec<String>) {
    *LISTING.lock().unwrap_or_else(PoisonError::into_inner) = lines;
}

/// The settings that the last reader read: one per line, sorted by name, without secrets.
pub fn listing() -> Vec<String> {
    LISTING.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

impl Reader {
    /// Reads the process environment and a file; the environment takes precedence. The file is the
    /// one that `ENV_PATH` names, or `./.env` if it exists. Also checks the variables that logging
    /// and tracing read.
    pub fn from_env() -> Self {
        let mut reader = Self::from_pairs(Vec::<(String, String)>::new());
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => drop(reader.values.insert(name, value)),
                Err(_) => drop(reader.unreadable.insert(name)),
            }
        }
        match reader.lookup("ENV_PATH") {
            Some(path) => reader.read_file("ENV_PATH", &path),
            None if Path::new(DEFAULT_FILE).exists() => {
                reader.read_file(DEFAULT_FILE, DEFAULT_FILE);
            }
            None => {}
        }
        telemetry::check(&mut reader);
        reader
    }

    /// Settings from another source than the environment, mostly for tests.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let values = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self {
            values,
            unreadable: BTreeSet::new(),
            asked: RefCell::default(),
            secrets: BTreeSet::new(),
            problems: Vec::new(),
        }
    }

    fn read_file(&mut self, name: &str, path: &str) {
        let file = std::fs::read_to_string(path).map_err(|error| error.to_string());
        match file.and_then(|text| env_file::parse(&text).map_err(|error| error.to_string())) {
            Ok(pairs) => {
                // The last line of a name wins, and the environment takes precedence over the file.
                for (name, value) in pairs.into_iter().rev() {
                    if !self.unreadable.contains(&name) {
                        self.values.entry(name).or_insert(value);
                    }
                }
            }
            Err(error) => self.reject(name, format!("a readable settings file ({error})")),
        }
    }

    /// A value of any type that can be parsed from text, or `default`.
    pub fn get<T: FromStr<Err: fmt::Display>>(&mut self, name: &str, default: T) -> T {
        self.read(name, default, value::parse)
    }

    /// A number within `range`, or `default`.
    pub fn get_in<T>(&mut self, name: &str, default: T, range: RangeInclusive<T>) -> T
    where
        T: FromStr<Err: fmt::Display> + PartialOrd + fmt::Display,
    {
        self.read(name, default, |text| match value::parse(text) {
            Ok(value) if range.contains(&value) => Ok(value),
            _ => Err(format!("a number from {} to {}", range.start(), range.end())),
        })
    }

    /// A text, or `default`.
    pub fn text(&mut self, name: &str, default: &str) -> String {
        self.lookup(name).unwrap_or_else(|| default.to_owned())
    }

    /// A comma-separated list of at least one text, or `default`, which is split in the same way.
    pub fn list(&mut self, name: &str, default: &str) -> Vec<String> {
        let split = |text: &str| -> Result<Vec<String>, String> {
            let items: Vec<String> = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect();
            if items.is_empty() { Err("a comma-separated list".to_owned()) } else { Ok(items) }
        };
        let default = split(default).unwrap_or_default();
        self.read(name, default, split)
    }

    /// `true` or `false` (also 1/0, yes/no, on/off), or `default`.
    pub fn flag(&mut self, name: &str, default: bool) -> bool {
        self.read(name, default, value::flag)
    }

    /// A duration above zero with a unit, such as `10m` or `250ms`, or `default`. It must be in
    /// whole microseconds and at most 36,500 days.
    pub fn duration(&mut self, name: &str, default: Duration) -> Duration {
        self.read(name, default, value::duration)
    }

    /// A duration as a whole number of nanoseconds above zero, or `default`.
    pub fn nanoseconds(&mut self, name: &str, default: Duration) -> Duration {
        self.read(name, default, |text| match value::parse::<u64>(text) {
            Ok(nanoseconds @ 1..) => Ok(Duration::from_nanos(nanoseconds)),
            _ => Err("a whole number of nanoseconds above 0".to_owned()),
        })
    }

    /// A duration as a whole number of milliseconds, or `default`.
    pub fn milliseconds(&mut self, name: &str, default: Duration) -> Duration {
        self.read(name, default, |text| {
            let parsed = value::parse::<u64>(text).map(Duration::from_millis);
            parsed.map_err(|_| "a whole number of milliseconds".to_owned())
        })
    }

    /// A text that is never shown, or `default`. A `###` is part of it.
    pub fn secret(&mut self, name: &str, default: &str) -> Secret {
        self.secrets.insert(name.to_owned());
        let value = self.value(name).filter(|value| !value.is_empty());
        Secret::new(value.unwrap_or(default))
    }

    /// Whether the setting has a value.
    pub fn is_set(&self, name: &str) -> bool {
        self.lookup(name).is_some()
    }

    /// The names that start with `prefix` and are set.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        let known = self.values.keys().chain(&self.unreadable);
        let candidates = known.filter(|name| name.starts_with(prefix));
        candidates.filter(|name| self.is_set(name)).cloned().collect()
    }

    /// Reports a setting as wrong for a reason that only the caller knows.
    pub fn reject(&mut self, name: &str, expected: impl Into<String>) {
        let value = self.lookup(name).map(|text| value::without_credentials(&text));
        self.note(Problem { name: name.to_owned(), value, expected: expected.into() });
    }

    /// Like [`Self::reject`], but without the value, which may be a secret.
    pub fn reject_secretly(&mut self, name: &str, expected: impl Into<String>) {
        self.note(Problem { name: name.to_owned(), value: None, expected: expected.into() });
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Lists every wrong setting that was read.
    pub fn finish(mut self) -> Result<(), Error> {
        let asked = self.asked.take();
        for name in self.unreadable.intersection(&asked) {
            let expected = "UTF-8 text".to_owned();
            self.problems.push(Problem { name: name.clone(), value: None, expected });
        }
        for (variable, meant) in spelling::slips(self.values.keys(), &asked) {
            let (name, expected) =
                (variable.clone(), format!("the name {meant}; no setting has this one"));
            // The value may be a secret.
            self.problems.push(Problem { name, value: None, expected });
        }
        remember(asked.iter().map(|name| self.shown(name)).collect());
        if self.problems.is_empty() { Ok(()) } else { Err(Error { problems: self.problems }) }
    }

    /// Adds a problem once, even if several parts of a service read the same setting.
    fn note(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(super) fn read<T>(
        &mut self,
        name: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(text) = self.lookup(name) else { return default };
        parse(&text).unwrap_or_else(|expected| {
            let value = Some(value::without_credentials(&text));
            self.note(Problem { name: name.to_owned(), value, expected });
            default
        })
    }

    /// One line about a setting. Headers may hold credentials, so they are hidden as passwords are.
    fn shown(&self, name: &str) -> String {
        match self.lookup(name) {
            None => format!("{name} (default)"),
            Some(_) if self.secrets.contains(name) || name.ends_with("_HEADERS") => {
                format!("{name}=***")
            }
            Some(value) => format!("{name}={}", value::without_credentials(&value)),
        }
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.asked.borrow_mut().insert(name.to_owned());
        self.values.get(name).map(String::as_str)
    }

    fn lookup(&self, name: &str) -> Option<String> {
        let value = value::without_comment(self.value(name)?);
        (!value.is_empty()).then(|| value.to_owned())
    }
}
