//! Whether the service can do its work, part by part. Knows no server: parts report, front-ends ask.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use prometheus::IntGaugeVec;
use serde::Serialize;
use tokio::sync::watch;

use crate::metrics;

/// The readiness of the whole service; cheap to clone.
///
/// ```
/// use shared_actors::health::Health;
///
/// let health = Health::new();
/// let database = health.component("postgres shard 0");
/// assert!(!health.is_ready());
/// database.ready();
/// assert!(health.is_ready());
/// ```
#[derive(Clone)]
pub struct Health {
    shared: Arc<Shared>,
}

struct Shared {
    parts: RwLock<Vec<ComponentReport>>,
    ready: watch::Sender<bool>,
    was_ready: AtomicBool,
    stopping: AtomicBool,
}

/// What `/readyz` says of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ComponentReport {
    /// What the part is, such as `postgres shard 0`.
    pub name: String,
    /// Whether it works.
    pub ready: bool,
    /// What it is waiting for when it does not.
    pub reason: Option<String>,
    /// Whether the service as a whole waits for it.
    pub required: bool,
}

static READY: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    let help = "1 while a part that the service stands on works, as /readyz tells.";
    metrics::gauges("component_ready", help, &["component", "required"])
});

impl ComponentReport {
    fn show(&self) {
        let required = if self.required { "true" } else { "false" };
        READY.with_label_values(&[self.name.as_str(), required]).set(self.ready.into());
    }
}

/// One part's side of [`Health`]; cheap to clone.
#[derive(Clone)]
pub struct Component {
    shared: Arc<Shared>,
    index: usize,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// A service without parts, which is ready.
    pub fn new() -> Self {
        let shared = Shared {
            parts: RwLock::new(Vec::new()),
            ready: watch::Sender::new(true),
            was_ready: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Adds a part that the service needs; it starts as not ready. Add every part before serving.
    pub fn component(&self, name: impl Into<String>) -> Component {
        self.add(name.into(), true)
    }

    /// Adds a part that the service can do without: reported, but never a reason to be unready.
    pub fn optional_component(&self, name: impl Into<String>) -> Component {
        self.add(name.into(), false)
    }

    fn add(&self, name: String, required: bool) -> Component {
        let report = ComponentReport { name, ready: false, reason: Some("starting".to_owned()), required };
        let index = self.shared.change(|parts| {
            report.show();
            parts.push(report);
            parts.len() - 1
        });
        Component { shared: Arc::clone(&self.shared), index }
    }

    /// Whether every part that is needed works and the service is not stopping.
    pub fn is_ready(&self) -> bool {
        *self.shared.ready.borrow()
    }

    /// Whether the service has been ready once; requests are let in from then on, and a part that
    /// fails later answers for itself.
    pub fn has_been_ready(&self) -> bool {
        self.shared.was_ready.load(Ordering::Acquire) || self.is_ready()
    }

    /// Changes of [`Self::is_ready`], starting with what holds now.
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.shared.ready.subscribe()
    }

    /// Every part, in the order in which they were added.
    pub fn report(&self) -> Vec<ComponentReport> {
        self.shared.parts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The service drains: not ready any more, for good.
    pub fn stopping(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.change(|_| ());
    }

    /// Whether [`Self::stopping`] was said.
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Acquire)
    }
}

impl Component {
    /// The part works.
    pub fn ready(&self) {
        self.set(true, None);
    }

    /// The part does not work, for `reason`.
    pub fn waiting(&self, reason: impl Into<String>) {
        self.set(false, Some(reason.into()));
    }

    fn set(&self, ready: bool, reason: Option<String>) {
        self.shared.change(|parts| {
            let part = &mut parts[self.index];
            if part.ready != ready {
                match &reason {
                    None => tracing::info!(part = %part.name, "ready"),
                    Some(reason) => tracing::warn!(part = %part.name, %reason, "not ready"),
                }
            }
            part.ready = ready;
            part.reason = reason;
            part.show();
        });
    }
}

impl Shared {
    fn change<T>(&self, apply: impl FnOnce(&mut Vec<ComponentReport>) -> T) -> T {
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        let result = apply(&mut parts);
        let ready =
            !self.stopping.load(Ordering::Acquire) && parts.iter().all(|part| part.ready || !part.required);
        if ready {
            self.was_ready.store(true, Ordering::Release);
        }
        // Under the lock, so that the last change wins.
        self.ready.send_if_modified(|current| std::mem::replace(current, ready) != ready);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_ready_when_every_part_that_it_needs_is() {
        let health = Health::new();
        let (first, second) = (health.component("a"), health.component("b"));
        let cache = health.optional_component("cache");
        first.ready();
        assert!(!health.is_ready());
        second.ready();
        assert!(health.is_ready());
        cache.waiting("connection refused");
        assert!(health.is_ready());
        second.waiting("connection refused");
        assert!(!health.is_ready());
        assert_eq!(health.report()[1].reason.as_deref(), Some("connection refused"));
    }

    #[test]
    fn a_service_that_stops_is_not_ready_but_was() {
        let health = Health::new();
        health.component("a").ready();
        assert!(health.has_been_ready());
        health.stopping();
        assert!(!health.is_ready() && health.has_been_ready());
        health.component("b").ready();
        assert!(!health.is_ready());
    }
}
