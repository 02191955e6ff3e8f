//! The output of `notifier dlq`, for people and for programs.

use std::io::{self, Write};

use serde_json::json;

use super::letter::Letter;
use super::replay::Failed;

/// A list of letters.
pub(super) struct List {
    json: bool,
    matched: i64,
    listed: i64,
}

impl List {
    pub fn begin(matched: i64, json: bool) -> io::Result<Self> {
        if !json && matched > 0 {
            writeln!(
                io::stdout(),
                "{:>8}  {:<20}  {:<8}  {:>14}  {:>5}  {:<10}  reason",
                "id",
                "created",
                "channel",
                "order",
                "tries",
                "resolution"
            )?;
        }
        Ok(Self { json, matched, listed: 0 })
    }

    pub fn add(&mut self, letters: &[Letter]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for letter in letters {
            self.listed += 1;
            if self.json {
                writeln!(out, "{}", letter.summary())?;
                continue;
            }
            let Letter { id, channel, order_id, attempts, reason, resolution, .. } = letter;
            let since = letter.created_at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
            let order = order_id.map_or_else(|| "-".to_owned(), |order| order.to_string());
            let channel = if channel.is_empty() { "none" } else { channel };
            let resolution = resolution.as_deref().unwrap_or("-");
            writeln!(
                out,
                "{id:>8}  {since:<20}  {channel:<8}  {order:>14}  {attempts:>5}  {resolution:<10}  {}",
                one_line(reason)
            )?;
        }
        Ok(())
    }

    pub fn end(self) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        let Self { matched, listed, .. } = self;
        match matched - listed {
            0 => writeln!(io::stdout(), "{}", count_of(matched)),
            more => writeln!(io::stdout(), "{}, {more} of them not listed", count_of(matched)),
        }
    }
}

/// Prints one letter with its record.
pub(super) fn letter(letter: &Letter, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let whole = letter.whole();
    if json {
        return writeln!(out, "{whole}");
    }
    for (name, value) in whole.as_object().into_iter().flatten() {
        match value.as_str() {
            Some(text) => writeln!(out, "{name:<14}{}", one_line(text))?,
            None if name == "headers" => {
                for header in value.as_array().into_iter().flatten() {
                    let part = |name: &str| header[name].as_str().unwrap_or_default().to_owned();
                    let header = format!("{}: {}", part("name"), part("value"));
                    writeln!(out, "{name:<14}{}", one_line(&header))?;
                }
            }
            None if value.is_null() => writeln!(out, "{name:<14}-")?,
            None => writeln!(out, "{name:<14}{value}")?,
        }
    }
    Ok(())
}

/// How a change of letters ended.
pub(super) struct Outcome {
    verb: &'static str,
    matched: i64,
    dry_run: bool,
    pub done: usize,
    pub failed: Vec<Failed>,
}

impl Outcome {
    pub fn new(verb: &'static str, matched: i64, dry_run: bool) -> Self {
        Self { verb, matched, dry_run, done: 0, failed: Vec::new() }
    }

    pub fn print(&self, json: bool) -> io::Result<()> {
        let Self { verb, matched, dry_run, done, failed } = self;
        let mut out = io::stdout().lock();
        if json {
            let failed: Vec<_> =
                failed.iter().map(|(id, reason)| json!({"id": id, "reason": reason})).collect();
            let outcome = json!({"command": verb, "matched": matched, "dry_run": dry_run, "done": done, "failed": failed});
            return writeln!(out, "{outcome}");
        }
        for (id, reason) in failed {
            writeln!(out, "{id:>8}  {}", one_line(reason))?;
        }
        let matched = count_of(*matched);
        if *dry_run {
            return writeln!(out, "{verb}: matched {matched}, nothing was changed");
        }
        writeln!(out, "{verb}: matched {matched}, {done} done, {} failed", failed.len())
    }
}

/// A number of letters, in words.
pub(super) fn count_of(letters: i64) -> String {
    format!("{letters} dead letter{}", if letters == 1 { "" } else { "s" })
}

/// A text for one line of a terminal, which may not contain commands for it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
