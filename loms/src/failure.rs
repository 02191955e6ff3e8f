//! What a failure of an actor or a database means to a use case.

use service_kit::database::DatabaseError;
use shared_actors::actor::AskError;

use crate::domain::Failure;

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded { retry_after } => Self::Overloaded { retry_after },
            AskError::DeadlineExceeded => Self::DeadlineExceeded,
            AskError::Unavailable => {
                Self::Unavailable { reason: "the actor did not answer".to_owned() }
            }
        }
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        let reason = error.to_string();
        match error {
            DatabaseError::Unavailable(_) | DatabaseError::Conflict(_) => {
                Self::Unavailable { reason }
            }
            DatabaseError::Internal(_) => Self::Internal { reason },
        }
    }
}
