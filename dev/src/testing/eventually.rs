//! Waits for conditions that become true later.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// The result of checking a condition: a value, or not yet.
pub trait Condition {
    /// The value of a condition that holds.
    type Value;

    /// The value, or why the condition does not hold yet.
    fn met(self) -> Result<Self::Value, String>;
}

impl Condition for bool {
    type Value = ();

    fn met(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("it is false".to_owned()) }
    }
}

impl<T> Condition for Option<T> {
    type Value = T;

    fn met(self) -> Result<T, String> {
        self.ok_or_else(|| "there is nothing".to_owned())
    }
}

impl<T, E: Debug> Condition for Result<T, E> {
    type Value = T;

    fn met(self) -> Result<T, String> {
        self.map_err(|error| format!("{error:?}"))
    }
}

/// Checks every 20 ms until the condition holds, and returns its value. Panics if `deadline` passes
/// first. `what` names the awaited state in the panic message, as in "the order is cancelled".
pub async fn eventually<C: Condition>(
    deadline: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> C,
) -> C::Value {
    let started = Instant::now();
    let mut said = "the condition itself did not answer".to_owned();
    loop {
        let left = deadline.saturating_sub(started.elapsed());
        // If the condition does not answer in the remaining time, the previous reason stays.
        if let Ok(answer) =
            tokio::time::timeout(left.max(Duration::from_millis(1)), condition()).await
        {
            match answer.met() {
                Ok(value) => return value,
                Err(why) => said = why,
            }
        }
        assert!(started.elapsed() < deadline, "waited {deadline:?} in vain until {what}: {said}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_returns_what_the_condition_found() {
        let mut asked = 0;
        let found = eventually(Duration::from_secs(5), "the third answer", async || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(found.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "in vain until the impossible")]
    async fn it_gives_up_at_its_deadline() {
        eventually(Duration::from_millis(30), "the impossible", async || false).await;
    }
}
