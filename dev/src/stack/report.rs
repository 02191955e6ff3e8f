//! What people see while the stack starts and stops: one line a step, with its time.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Runs one step of the start and says how long it took.
pub async fn step<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let started = Instant::now();
    let outcome = work.await;
    match &outcome {
        Ok(_) => println!("  ✓ {what} … {}", seconds(started.elapsed())),
        Err(_) => println!("  ✗ {what} … {}", seconds(started.elapsed())),
    }
    outcome
}

/// A duration as people read it.
pub fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// A headline.
pub fn headline(text: &str) {
    println!("\n{text}");
}
