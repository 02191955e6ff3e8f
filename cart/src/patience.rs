//! Waiting for shared work. The work has its own time limit, and each waiting caller has its own
//! deadline.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::domain::{CartError, Part};

/// How much earlier than its deadline a wait ends, so that the error can still name the slow part.
/// It is a tenth of the remaining time, but at most this.
const HEADROOM: Duration = Duration::from_millis(20);

/// Waits for the result of `work`. The work may continue after this wait ends.
///
/// # Errors
/// Those of `work`; `DeadlineExceeded` of `part` shortly before `deadline`.
pub async fn wait<T>(
    deadline: Instant,
    part: Part,
    work: impl Future<Output = Result<T, CartError>>,
) -> Result<T, CartError> {
    let left = deadline.saturating_duration_since(Instant::now());
    let until = deadline - HEADROOM.min(left / 10);
    timeout_at(until, work).await.unwrap_or(Err(CartError::DeadlineExceeded(part)))
}
