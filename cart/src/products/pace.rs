//! The rate limit for calls to the product service.

use std::sync::Arc;
use std::time::Duration;

use shared_actors::fits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};

use crate::domain::CartError;

/// One second, plus the amount by which two clocks may differ within it.
const WINDOW: Duration = Duration::from_millis(1005);

/// Allows at most a fixed number of calls in any second, and delays none longer than necessary.
///
/// A permit is reused one second after its call was answered, not after the call was sent. The
/// product service therefore sees no higher rate either, however long a call travels. A token
/// bucket guarantees neither that nor the limit in the first second, when it permits twice as many.
pub struct Pace {
    places: Arc<Semaphore>,
    /// Limits how many calls may wait; further ones would mostly miss their deadlines.
    queue: Semaphore,
}

/// The permission to make one call. Drop it when the call has been answered.
pub struct Turn(Option<OwnedSemaphorePermit>);

impl Pace {
    /// Allows at most `per_second` calls in any second. At most as many may wait as can be made
    /// within `patience`.
    pub fn new(per_second: usize, patience: Duration) -> Self {
        let per_second = per_second.max(1);
        let waiting = fits::<u64, usize>(patience.as_secs()).max(1);
        let waiting = per_second.saturating_mul(waiting).min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(per_second)), queue: Semaphore::new(waiting) }
    }

    /// Waits for a turn until `deadline`.
    ///
    /// # Errors
    /// `Overloaded`: immediately if too many calls wait, otherwise at the deadline.
    pub async fn turn(&self, deadline: Instant) -> Result<Turn, CartError> {
        let _waiting = self.queue.try_acquire().map_err(|_| CartError::Overloaded)?;
        let place = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(|_| CartError::Overloaded)?;
        Ok(Turn(Some(place.map_err(|_| CartError::Internal)?)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let place = self.0.take();
        tokio::spawn(async move {
            sleep(WINDOW).await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn in_ten_seconds() -> Instant {
        Instant::now() + PATIENCE
    }

    #[actix_web::test]
    async fn no_second_has_more_turns_than_allowed() {
        let pace = Pace::new(10, PATIENCE);
        let mut moments = Vec::new();
        for _ in 0..25 {
            drop(pace.turn(in_ten_seconds()).await.unwrap());
            moments.push(Instant::now());
        }
        assert!(moments.windows(11).all(|eleven| eleven[10] - eleven[0] > Duration::from_secs(1)));
        assert!(moments[9] - moments[0] < Duration::from_millis(500), "a burst passes at once");
    }

    #[actix_web::test]
    async fn who_cannot_have_a_turn_in_time_is_refused() {
        let pace = Pace::new(1, Duration::from_secs(1));
        drop(pace.turn(in_ten_seconds()).await.unwrap());
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(pace.turn(soon).await.err(), Some(CartError::Overloaded));
        let (waits, refused) =
            futures::join!(pace.turn(in_ten_seconds()), pace.turn(in_ten_seconds()));
        assert!(waits.is_ok());
        assert_eq!(refused.err(), Some(CartError::Overloaded));
    }
}
