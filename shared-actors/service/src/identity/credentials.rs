//! The token by which a service identifies itself.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::settings::Secret;

/// How long the content of the file is used before the file is read again.
const REREAD_AFTER: Duration = Duration::from_secs(10);

/// A file with a token that somebody else renews, such as a projected token of Kubernetes. Cheap
/// to clone.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
    read: Arc<Mutex<Option<(Instant, Secret)>>>,
}

impl TokenFile {
    /// The token in the file at `path`. It is read when it is first needed.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), read: Arc::default() }
    }

    /// The current token. If the file cannot be read, the previous one; `None` if there is none.
    pub fn token(&self) -> Option<Secret> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.as_ref().is_none_or(|(at, _)| at.elapsed() >= REREAD_AFTER) {
            match std::fs::read_to_string(&self.path) {
                Ok(text) => *read = Some((Instant::now(), Secret::new(text.trim()))),
                Err(error) => {
                    tracing::warn!(file = %self.path.display(), %error, "cannot read the token file");
                    if let Some((at, _)) = &mut *read {
                        *at = Instant::now();
                    }
                }
            }
        }
        read.as_ref().map(|(_, token)| token.clone())
    }
}
