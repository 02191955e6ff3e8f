//! The bounded entrance for requests: refuses them before they cost anything.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::{CartError, UserId};

/// Limits how many requests are in progress: in total, and per user. Cheap to clone.
///
/// The actors have limits too. This one also covers what happens before a request reaches an actor:
/// look-ups of products and stock, and reads of carts.
#[derive(Clone)]
pub struct Admission(Arc<Limits>);

struct Limits {
    in_total: usize,
    per_user: usize,
    requests: Mutex<Requests>,
}

#[derive(Default)]
struct Requests {
    in_total: usize,
    by_user: HashMap<UserId, usize>,
}

/// A request that was admitted. It ends when this is dropped.
pub struct Admitted {
    limits: Arc<Limits>,
    user: UserId,
}

impl Admission {
    /// Admits at most `in_total` requests at once, and at most `per_user` of one user.
    pub fn new(in_total: usize, per_user: usize) -> Self {
        Self(Arc::new(Limits { in_total, per_user, requests: Mutex::default() }))
    }

    /// Admits a request of `user`.
    ///
    /// # Errors
    /// `Overloaded` if there are too many.
    pub fn admit(&self, user: UserId) -> Result<Admitted, CartError> {
        let mut requests = self.0.requests();
        let own = requests.by_user.get(&user).copied().unwrap_or_default();
        if requests.in_total >= self.0.in_total || own >= self.0.per_user {
            return Err(CartError::Overloaded);
        }
        requests.in_total += 1;
        requests.by_user.insert(user, own + 1);
        Ok(Admitted { limits: Arc::clone(&self.0), user })
    }
}

impl Limits {
    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut requests = self.limits.requests();
        requests.in_total -= 1;
        if let Entry::Occupied(mut own) = requests.by_user.entry(self.user) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_limited_in_total_and_per_user_and_nothing_is_remembered_of_those_that_ended() {
        let admission = Admission::new(3, 2);
        let user = |id| UserId::new(id).unwrap();
        let refused = |id| admission.admit(user(id)).err() == Some(CartError::Overloaded);
        let mut admitted =
            vec![admission.admit(user(1)).unwrap(), admission.admit(user(1)).unwrap()];
        assert!(refused(1));
        admitted.push(admission.admit(user(2)).unwrap());
        assert!(refused(3));
        admitted.pop();
        assert!(refused(1) && admission.admit(user(3)).is_ok());
        admitted.clear();
        let requests = admission.0.requests();
        assert_eq!((requests.in_total, requests.by_user.len()), (0, 0));
    }
}
