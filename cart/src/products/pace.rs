//! The rate limit for calls to the product service.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared_actors::fits;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use crate::domain::{CartError, UserId};

/// One second, plus the amount by which two clocks may differ within it.
const WINDOW: Duration = Duration::from_millis(1005);
/// One user may fill at most one part in this many of the queue.
const QUEUE_PARTS: usize = 4;

/// Allows at most a fixed number of calls in any second, and delays none longer than necessary. If
/// calls have to wait, the users take turns.
///
/// A permit is reused one second after its call was answered, not after the call was sent. The
/// product service therefore sees no higher rate either, however long a call travels. A token
/// bucket guarantees neither that nor the limit in the first second, when it permits twice as many.
pub struct Pace {
    queue: Arc<Mutex<Queue>>,
    /// How many calls may wait; further ones would mostly miss their deadlines.
    capacity: usize,
}

#[derive(Default)]
struct Queue {
    free: usize,
    waiting: usize,
    /// The calls that wait, by user. The first user is the next.
    users: VecDeque<(UserId, VecDeque<oneshot::Sender<Turn>>)>,
}

/// The permission to make one call. Drop it when the call has been answered.
pub struct Turn {
    /// `None` if it was returned.
    queue: Option<Arc<Mutex<Queue>>>,
}

impl Pace {
    /// Allows at most `per_second` calls in any second. At most as many may wait as can be made
    /// within `patience`.
    pub fn new(per_second: usize, patience: Duration) -> Self {
        let per_second = per_second.max(1);
        let seconds = fits::<u64, usize>(patience.as_secs()).max(1);
        let queue = Queue { free: per_second, ..Queue::default() };
        Self { queue: Arc::new(Mutex::new(queue)), capacity: per_second.saturating_mul(seconds) }
    }

    /// Waits for a turn of `user` until `deadline`.
    ///
    /// # Errors
    /// `Overloaded`: immediately if too many calls wait, or too many of this user; otherwise at the
    /// deadline.
    pub async fn turn(&self, user: UserId, deadline: Instant) -> Result<Turn, CartError> {
        let turn = {
            let mut queue = lock(&self.queue);
            if queue.free > 0 {
                queue.free -= 1;
                return Ok(Turn { queue: Some(Arc::clone(&self.queue)) });
            }
            queue.join(user, self.capacity)?
        };
        let turn = timeout_at(deadline, turn).await.map_err(|_| CartError::Overloaded)?;
        turn.map_err(|_| CartError::Internal)
    }
}

impl Queue {
    fn join(
        &mut self,
        user: UserId,
        capacity: usize,
    ) -> Result<oneshot::Receiver<Turn>, CartError> {
        let place = self.users.iter().position(|(other, _)| *other == user);
        if let Some(place) = place {
            let own = &mut self.users[place].1;
            let before = own.len();
            own.retain(|turn| !turn.is_closed());
            self.waiting -= before - own.len();
        }
        let own = place.map_or(0, |place| self.users[place].1.len());
        if self.waiting >= capacity || own >= (capacity / QUEUE_PARTS).max(1) {
            return Err(CartError::Overloaded);
        }
        let (sender, turn) = oneshot::channel();
        self.waiting += 1;
        match place {
            Some(place) => self.users[place].1.push_back(sender),
            None => self.users.push_back((user, VecDeque::from([sender]))),
        }
        Ok(turn)
    }

    /// The next call that waits.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        loop {
            let (user, mut own) = self.users.pop_front()?;
            let Some(turn) = own.pop_front() else { continue };
            self.waiting -= 1;
            if !own.is_empty() {
                self.users.push_back((user, own));
            }
            return Some(turn);
        }
    }
}

impl Turn {
    /// Returns the turn at once, because no call was made.
    pub fn unused(mut self) {
        if let Some(queue) = self.queue.take() {
            pass_on(&queue);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(queue) = self.queue.take() else { return };
        tokio::spawn(async move {
            sleep(WINDOW).await;
            pass_on(&queue);
        });
    }
}

/// Gives a turn to the next call that still waits.
fn pass_on(queue: &Arc<Mutex<Queue>>) {
    let mut waiting = lock(queue);
    while let Some(next) = waiting.next() {
        let turn = Turn { queue: Some(Arc::clone(queue)) };
        match next.send(turn) {
            Ok(()) => return,
            // This caller no longer waits: the next one gets the turn.
            Err(mut turn) => drop(mem::take(&mut turn.queue)),
        }
    }
    waiting.free += 1;
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn in_ten_seconds() -> Instant {
        Instant::now() + PATIENCE
    }

    fn user(id: i64) -> UserId {
        UserId::new(id).unwrap()
    }

    #[actix_web::test]
    async fn no_second_has_more_turns_than_allowed() {
        let pace = Pace::new(10, PATIENCE);
        let mut moments = Vec::new();
        for _ in 0..25 {
            drop(pace.turn(user(1), in_ten_seconds()).await.unwrap());
            moments.push(Instant::now());
        }
        assert!(moments.windows(11).all(|eleven| eleven[10] - eleven[0] > Duration::from_secs(1)));
        assert!(moments[9] - moments[0] < Duration::from_millis(500), "a burst passes at once");
    }

    #[actix_web::test]
    async fn who_cannot_have_a_turn_in_time_is_refused() {
        let pace = Pace::new(1, Duration::from_secs(1));
        drop(pace.turn(user(1), in_ten_seconds()).await.unwrap());
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(pace.turn(user(1), soon).await.err(), Some(CartError::Overloaded));
        let (waits, refused) = futures::join!(
            pace.turn(user(1), in_ten_seconds()),
            pace.turn(user(2), in_ten_seconds())
        );
        assert!(waits.is_ok());
        assert_eq!(refused.err(), Some(CartError::Overloaded));
    }

    #[actix_web::test]
    async fn users_take_turns_and_nobody_fills_the_queue_alone() {
        let pace = Pace::new(4, Duration::from_secs(4));
        let begun = Instant::now();
        let turn = async |id: i64| {
            let turn = pace.turn(user(id), in_ten_seconds()).await;
            turn.map(|turn| {
                drop(turn);
                begun.elapsed()
            })
        };
        let eager = join_all((0..20).map(|_| turn(1)));
        let modest = async {
            tokio::task::yield_now().await;
            turn(2).await
        };
        let (eager, modest) = futures::join!(eager, modest);
        // Four at once, and four of the sixteen places in the queue.
        assert_eq!(eager.iter().filter(|turn| turn.is_ok()).count(), 8);
        assert!(modest.is_ok_and(|waited| waited < Duration::from_secs(2)), "{eager:?}");
    }

    #[actix_web::test]
    async fn an_unused_turn_is_somebody_else_s_at_once() {
        let pace = Pace::new(1, PATIENCE);
        let turn = pace.turn(user(1), in_ten_seconds()).await.unwrap();
        let begun = Instant::now();
        turn.unused();
        let turn = pace.turn(user(2), in_ten_seconds()).await.unwrap();
        assert!(begun.elapsed() < WINDOW);
        let abandoned = pace.turn(user(3), Instant::now() + Duration::from_millis(1));
        assert!(abandoned.await.is_err());
        let (next, ()) = futures::join!(pace.turn(user(4), in_ten_seconds()), async {
            turn.unused();
        });
        assert!(next.is_ok());
    }
}
