//! What a failure of an actor or a database means to a use case.

use service_kit::database::DatabaseError;
use shared_actors::actor::AskError;

use crate::domain::{CartError, Part};

impl From<AskError> for CartError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded { .. } => Self::Overloaded,
            AskError::DeadlineExceeded => Self::DeadlineExceeded(Part::Carts),
            AskError::Unavailable => Self::Unavailable(Part::Carts),
        }
    }
}

impl From<DatabaseError> for CartError {
    fn from(error: DatabaseError) -> Self {
        if error.is_transient() { Self::Unavailable(Part::Carts) } else { Self::Internal }
    }
}
