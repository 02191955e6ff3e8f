//! Commands to an actor, and the ways in which asking can fail.

use std::time::Duration;

use thiserror::Error;

/// A command to an actor: its data and the type of its answer.
///
/// Commands are named in the imperative (`ReserveStock`).
pub trait Command: Send + 'static {
    /// The actor's answer on success.
    type Output: Send + 'static;
    /// The actor's answer on failure. It also carries every [`AskError`].
    type Error: From<AskError> + Send + 'static;
    /// The value of the label `message` in metrics and the name of the command in spans, in lower
    /// snake case.
    const NAME: &'static str;
}

/// Why an actor did not answer a command.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AskError {
    /// The actor is at capacity. The command was not executed.
    #[error("too many commands are waiting, try again in {retry_after:?}")]
    Overloaded {
        /// How long to wait before a retry.
        retry_after: Duration,
    },
    /// The deadline passed before the answer. The command may have been executed, or may still be.
    #[error("the deadline passed before the answer")]
    DeadlineExceeded,
    /// The actor panicked during the command, is being restarted, or is stopping. If the command
    /// had been admitted before, its outcome is unknown.
    #[error("not available at the moment")]
    Unavailable,
}
