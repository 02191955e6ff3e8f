//! The end of a server. Its process must notice it instead of running on without the server.

use std::io;

use tokio::sync::watch;

/// Reports why a server ended.
pub(crate) struct EndTeller {
    name: String,
    told: watch::Sender<Option<String>>,
}

/// Waits for the end of a server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct End {
    name: String,
    told: watch::Receiver<Option<String>>,
}

/// Creates the two sides of one server's end.
pub(crate) fn end_of(name: String) -> (EndTeller, End) {
    let (sender, receiver) = watch::channel(None);
    (EndTeller { name: name.clone(), told: sender }, End { name, told: receiver })
}

impl EndTeller {
    pub(crate) fn tell(self, outcome: Result<(), impl std::error::Error>) {
        let reason = outcome.map_or_else(|error| format!(": {error}"), |()| String::new());
        self.told.send_replace(Some(format!("{} ended{reason}", self.name)));
    }
}

impl End {
    /// Completes when the server has ended, with the reason as far as it is known.
    pub(crate) async fn wait(mut self) -> io::Error {
        let told = self.told.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        io::Error::other(told.unwrap_or_else(|| format!("{} panicked", self.name)))
    }
}
