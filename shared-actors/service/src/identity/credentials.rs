//! The token by which a service identifies itself.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::settings::{Reader, Secret};

/// How long the content of the file is used before the file is read again.
const REREAD_AFTER: Duration = Duration::from_secs(10);

/// A file with a token that somebody else renews, such as a projected token of Kubernetes. Cheap
/// to clone.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
    current: Arc<Mutex<Current>>,
}

#[derive(Debug)]
struct Current {
    token: Secret,
    /// When the file was last read.
    read: Instant,
}

impl TokenFile {
    /// Reads the file that the setting `name` names. `None` if the setting is not set, or is wrong
    /// and was reported.
    pub fn read(reader: &mut Reader, name: &str) -> Option<Self> {
        let path = PathBuf::from(reader.text(name, ""));
        if path.as_os_str().is_empty() {
            return None;
        }
        match token_in(&path) {
            Ok(token) => {
                let current = Arc::new(Mutex::new(Current { token, read: Instant::now() }));
                Some(Self { path, current })
            }
            Err(reason) => {
                reader.reject(name, format!("a readable file with a token ({reason})"));
                None
            }
        }
    }

    /// The current token. The previous one while the file cannot be read or is empty.
    pub fn token(&self) -> Secret {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.read.elapsed() >= REREAD_AFTER {
            current.read = Instant::now();
            match token_in(&self.path) {
                Ok(token) => current.token = token,
                Err(reason) => {
                    tracing::warn!(file = %self.path.display(), reason, "cannot read the token file");
                }
            }
        }
        current.token.clone()
    }
}

fn token_in(path: &PathBuf) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let token = text.trim();
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_token { Ok(Secret::new(token)) } else { Err("it has no token".to_owned()) }
}
