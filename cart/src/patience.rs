//! Waiting for work that many may share. The work has a time limit of its own, and each who waits has theirs.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::domain::{CartError, Part};

/// How much earlier than its deadline a wait ends, so that the answer can still name what was waited for: a tenth of the
/// time that is left, and no more than this.
const HEADROOM: Duration = Duration::from_millis(20);

/// What comes of `work`, which may go on without this wait.
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
