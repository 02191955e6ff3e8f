//! The keys with a request in progress in this process.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::IdempotencyKey;
use crate::domain::{CartError, UserId};

/// The keys with a request in progress. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    held: Arc<Mutex<HashSet<(UserId, IdempotencyKey)>>>,
}

/// Claims a key until it is dropped. It travels with the command, so a client that disconnects does
/// not free the key of a change that is still being made.
#[derive(Debug)]
pub struct Claim {
    claims: Claims,
    owner: (UserId, IdempotencyKey),
}

impl Claims {
    /// Claims `key` of `user`.
    ///
    /// # Errors
    /// `KeyInFlight` if the key is already claimed.
    pub fn claim(&self, user: UserId, key: &IdempotencyKey) -> Result<Claim, CartError> {
        let owner = (user, key.clone());
        if !self.lock().insert(owner.clone()) {
            return Err(CartError::KeyInFlight);
        }
        Ok(Claim { claims: self.clone(), owner })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<(UserId, IdempotencyKey)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_claimed_once_at_a_time_and_by_user() {
        let claims = Claims::default();
        let (user, other) = (UserId::new(1).unwrap(), UserId::new(2).unwrap());
        let key = IdempotencyKey::parse(b"k").unwrap();
        let claim = claims.claim(user, &key).unwrap();
        assert_eq!(claims.claim(user, &key).unwrap_err(), CartError::KeyInFlight);
        assert!(claims.claim(other, &key).is_ok());
        drop(claim);
        assert!(claims.claim(user, &key).is_ok());
    }
}
