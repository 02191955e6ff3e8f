//! Retries transactions that lost a race with another one.

use service_kit::database::DatabaseError;

const ATTEMPTS: usize = 4;

/// Runs `work` again if it lost a race with another transaction. The failed attempt changed
/// nothing, and the next one sees what the other transaction committed.
pub(crate) async fn after_conflict<T, F>(mut work: impl FnMut() -> F) -> Result<T, DatabaseError>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let mut attempt = 1;
    loop {
        match work().await.map_err(DatabaseError::from) {
            Err(DatabaseError::Conflict(error)) if attempt < ATTEMPTS => {
                tracing::debug!(%error, attempt, "lost a race with another transaction, retrying");
                attempt += 1;
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_conflict_is_tried_again() {
        let mut calls = 0;
        let result: Result<(), _> = after_conflict(|| {
            calls += 1;
            async { Err(sqlx::Error::PoolTimedOut) }
        })
        .await;
        assert!(matches!(result, Err(DatabaseError::Unavailable(_))));
        assert_eq!(calls, 1);
    }
}
