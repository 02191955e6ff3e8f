//! Whether the service can do its work, part by part. It knows no server: parts report, and
//! front-ends ask.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use prometheus::IntGaugeVec;
use serde::Serialize;
use tokio::sync::watch;

use crate::metrics;

/// The readiness of the whole service. Cheap to clone.
///
/// The service is ready while every required part works. If there are groups, all parts of at least
/// one group must work, too: one dead shard must not take the others out of service. At startup,
/// the service becomes ready only when each group works or is known to fail.
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

/// What `/readyz` reports about one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ComponentReport {
    /// The name of the part, such as `postgres shard 0`.
    pub name: String,
    /// Whether it works.
    pub ready: bool,
    /// Why it does not work, such as `connection refused`. Null while it works.
    pub reason: Option<String>,
    /// Whether the service as a whole needs it. The parts of a group are not required individually:
    /// the service is ready while all parts of any one group work.
    pub required: bool,
    /// The group that it belongs to, such as `shard 0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether it is known to work or to fail. Otherwise, it is starting.
    #[serde(skip)]
    is_known: bool,
}

static READY: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    let help = "1 while the component works, as /readyz reports.";
    metrics::gauges("component_ready", help, &["component", "required"])
});

impl ComponentReport {
    fn show(&self) {
        let required = if self.required { "true" } else { "false" };
        READY.with_label_values(&[self.name.as_str(), required]).set(self.ready.into());
    }
}

/// The side of [`Health`] that one part uses. Cheap to clone.
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
    /// A service without parts. It is ready.
    pub fn new() -> Self {
        let shared = Shared {
            parts: RwLock::new(Vec::new()),
            ready: watch::Sender::new(true),
            was_ready: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Adds a part that the service needs. It starts as not ready. Add every part before serving.
    pub fn component(&self, name: impl Into<String>) -> Component {
        self.add(name.into(), true, None)
    }

    /// Adds a part of `group`, such as a shard. The service needs at least one whole group. The
    /// part starts as not ready.
    pub fn component_of(&self, group: impl Into<String>, name: impl Into<String>) -> Component {
        self.add(name.into(), false, Some(group.into()))
    }

    /// Adds a part that the service can do without. It is reported, but never makes the service
    /// unready.
    pub fn optional_component(&self, name: impl Into<String>) -> Component {
        self.add(name.into(), false, None)
    }

    fn add(&self, name: String, required: bool, group: Option<String>) -> Component {
        let reason = Some("starting".to_owned());
        let report =
            ComponentReport { name, ready: false, reason, required, group, is_known: false };
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

    /// Whether the service has been ready once. From then on, requests are let in. If a part fails
    /// later, only the requests that need it fail.
    pub fn has_been_ready(&self) -> bool {
        self.shared.was_ready.load(Ordering::Acquire) || self.is_ready()
    }

    /// A receiver of the changes of [`Self::is_ready`], starting with the current value.
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.shared.ready.subscribe()
    }

    /// The reports of all parts, in the order in which the parts were added.
    pub fn report(&self) -> Vec<ComponentReport> {
        self.shared.parts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records that the service is draining. It is never ready again.
    pub fn stopping(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.change(|_| ());
    }

    /// Whether [`Self::stopping`] was called.
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Acquire)
    }
}

/// The state that a part reports.
enum Standing {
    Ready,
    Waiting(String),
    Starting(String),
}

impl Component {
    /// Reports that the part works.
    pub fn ready(&self) {
        self.set(Standing::Ready);
    }

    /// Reports that the part does not work, for `reason`.
    pub fn waiting(&self, reason: impl Into<String>) {
        self.set(Standing::Waiting(reason.into()));
    }

    /// Reports that the part has not failed, but waits for something else at startup. Its group
    /// does not count as failed.
    pub fn starting(&self, reason: impl Into<String>) {
        self.set(Standing::Starting(reason.into()));
    }

    fn set(&self, standing: Standing) {
        let (ready, reason, is_known) = match standing {
            Standing::Ready => (true, None, true),
            Standing::Waiting(reason) => (false, Some(reason), true),
            Standing::Starting(reason) => (false, Some(reason), false),
        };
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
            part.is_known = is_known;
            part.show();
        });
    }
}

impl Shared {
    fn change<T>(&self, apply: impl FnOnce(&mut Vec<ComponentReport>) -> T) -> T {
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        let result = apply(&mut parts);
        let ready = !self.stopping.load(Ordering::Acquire) && are_ready(&parts);
        if ready {
            self.was_ready.store(true, Ordering::Release);
        }
        // Under the lock, so that the last change wins.
        self.ready.send_if_modified(|current| std::mem::replace(current, ready) != ready);
        result
    }
}

fn are_ready(parts: &[ComponentReport]) -> bool {
    let mut groups: BTreeMap<&str, Vec<&ComponentReport>> = BTreeMap::new();
    for part in parts {
        if let Some(group) = &part.group {
            groups.entry(group).or_default().push(part);
        }
    }
    let is_ready = |group: &Vec<&ComponentReport>| group.iter().all(|part| part.ready);
    // A group that is neither ready nor known to fail is still starting. A service that reports
    // ready should serve it, too.
    let is_starting = |group: &Vec<&ComponentReport>| {
        !is_ready(group) && !group.iter().any(|part| part.is_known && !part.ready)
    };
    parts.iter().all(|part| part.ready || !part.required)
        && !groups.values().any(is_starting)
        && (groups.is_empty() || groups.values().any(is_ready))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_ready_while_all_parts_of_one_group_work() {
        let health = Health::new();
        let [first, second] = ["0", "1"]
            .map(|shard| ["database", "identity"].map(|part| health.component_of(shard, part)));
        first[0].ready();
        second[1].waiting("connection refused");
        assert!(!health.is_ready(), "no group works as a whole");
        first[1].ready();
        assert!(health.is_ready(), "the first group works, the second is known to fail");
        second[0].ready();
        second[1].ready();
        first[0].waiting("connection refused");
        assert!(health.is_ready(), "the second group works");
        second[0].waiting("connection refused");
        assert!(!health.is_ready());
    }

    #[test]
    fn a_service_is_not_ready_while_a_group_is_starting() {
        let health = Health::new();
        let [first, second] = ["0", "1"].map(|shard| health.component_of(shard, "database"));
        first.ready();
        assert!(!health.is_ready());
        second.ready();
        assert!(health.is_ready());
    }

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
