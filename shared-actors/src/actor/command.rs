//! What can be asked of an actor, and how the asking itself can fail.

use std::time::Duration;

use thiserror::Error;

/// A command to an actor: its data, and the type of its answer.
///
/// Commands are named in the imperative (`ReserveStock`).
pub trait Command: Send + 'static {
    /// What the actor answers when it did the work.
    type Output: Send + 'static;
    /// What the actor answers when it could not; also carries the failures of the asking itself.
    type Error: From<AskError> + Send + 'static;
    /// The value of the label `message` in metrics and of the command in spans, in lower snake case.
    const NAME: &'static str;
}

/// Why a command was not answered by its actor.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AskError {
    /// The actor has as much work as it may hold. Nothing happened.
    #[error("too much is waiting already, try again in {retry_after:?}")]
    Overloaded {
        /// When it may be worth to ask again.
        retry_after: Duration,
    },
    /// The deadline passed first. The command may have been done, or may still be.
    #[error("the deadline passed before the answer")]
    DeadlineExceeded,
    /// The actor died over the command, or is being restarted, or is stopping. Where the command had been
    /// admitted before that, its outcome is unknown.
    #[error("not available at the moment")]
    Unavailable,
}
