//! Console output while the stack starts and stops: one line per step, with its duration.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Runs one step of the start and prints how long it took.
pub async fn step<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let started = Instant::now();
    let outcome = work.await;
    match &outcome {
        Ok(_) => println!("  ✓ {what} … {}", seconds(started.elapsed())),
        Err(_) => println!("  ✗ {what} … {}", seconds(started.elapsed())),
    }
    outcome
}

/// Formats a duration for people, in seconds.
pub fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Prints a headline.
pub fn headline(text: &str) {
    println!("\n{text}");
}
