//! The metric families of every actor, resolved once per handle and once per command type.

use std::sync::{Arc, LazyLock, RwLock};

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use tracing::{Span, field};

use crate::{detail_span, metrics};

/// In seconds, from an in-process answer to the longest deadline.
const DURATION_BUCKETS_SECONDS: &[f64] =
    &[0.000_05, 0.000_2, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const BATCH_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

struct Families {
    messages: IntCounterVec,
    duration: HistogramVec,
    wait: HistogramVec,
    depth: IntGaugeVec,
    in_flight: IntGaugeVec,
    capacity: IntGaugeVec,
    live: IntGaugeVec,
    restarts: IntCounterVec,
    activations: IntCounterVec,
    passivations: IntCounterVec,
    batch_size: HistogramVec,
}

static FAMILIES: LazyLock<Families> = LazyLock::new(|| {
    let by_actor = &["actor"];
    let by_message = &["actor", "message"];
    let gauge = |name: &str, help: &str| metrics::gauges(name, help, by_actor);
    let histogram = |name: &str, help: &str, buckets: &[f64]| {
        metrics::histograms(name, help, by_message, buckets)
    };
    Families {
        messages: metrics::counters(
            "actor_messages_total",
            "Commands by outcome: ok, error, overloaded, expired, unavailable.",
            &["actor", "message", "outcome"],
        ),
        duration: histogram(
            "actor_message_duration_seconds",
            "Time from the start of a command to its answer, in seconds.",
            DURATION_BUCKETS_SECONDS,
        ),
        wait: histogram(
            "actor_mailbox_wait_seconds",
            "Time from the admission of a command to its start, in seconds.",
            DURATION_BUCKETS_SECONDS,
        ),
        depth: gauge("actor_mailbox_depth", "Commands admitted but not started yet."),
        in_flight: gauge("actor_messages_in_flight", "Commands started but not answered yet."),
        capacity: gauge(
            "actor_mailbox_capacity",
            "Limit on unanswered commands, summed over the actors with that name.",
        ),
        live: gauge("actor_live", "Actors in memory."),
        restarts: metrics::counters(
            "actor_restarts_total",
            "Actors rebuilt after a panic.",
            by_actor,
        ),
        activations: metrics::counters(
            "actor_activations_total",
            "Keyed actors brought into memory.",
            by_actor,
        ),
        passivations: metrics::counters(
            "actor_passivations_total",
            "Keyed actors removed from memory.",
            by_actor,
        ),
        batch_size: histogram("actor_batch_size", "Commands per batch.", BATCH_BUCKETS),
    }
});

/// The metrics of the actors that share a name.
pub(super) struct ActorMetrics {
    name: &'static str,
    pub depth: IntGauge,
    pub in_flight: IntGauge,
    pub capacity: IntGauge,
    pub live: IntGauge,
    pub restarts: IntCounter,
    pub activations: IntCounter,
    pub passivations: IntCounter,
    commands: RwLock<Vec<Arc<CommandMetrics>>>,
}

/// The metrics of one command type of an actor.
pub(super) struct CommandMetrics {
    pub actor: &'static str,
    pub command: &'static str,
    span_name: String,
    pub ok: IntCounter,
    pub error: IntCounter,
    pub overloaded: IntCounter,
    pub expired: IntCounter,
    pub unavailable: IntCounter,
    pub duration: Histogram,
    pub wait: Histogram,
    pub batch_size: Histogram,
    pub depth: IntGauge,
    pub in_flight: IntGauge,
}

impl ActorMetrics {
    pub fn new(name: &'static str) -> Self {
        let labels = &[name];
        Self {
            name,
            depth: FAMILIES.depth.with_label_values(labels),
            in_flight: FAMILIES.in_flight.with_label_values(labels),
            capacity: FAMILIES.capacity.with_label_values(labels),
            live: FAMILIES.live.with_label_values(labels),
            restarts: FAMILIES.restarts.with_label_values(labels),
            activations: FAMILIES.activations.with_label_values(labels),
            passivations: FAMILIES.passivations.with_label_values(labels),
            commands: RwLock::default(),
        }
    }

    /// The metrics of the command named `command`. Scanning a handful of names avoids hashing on
    /// the hot path.
    pub fn command(&self, command: &'static str) -> Arc<CommandMetrics> {
        let known = |commands: &[Arc<CommandMetrics>]| {
            commands.iter().find(|known| known.command == command).map(Arc::clone)
        };
        if let Some(metrics) = self.commands.read().ok().and_then(|commands| known(&commands)) {
            return metrics;
        }
        let mut commands = self.commands.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        known(&commands).unwrap_or_else(|| {
            let metrics = Arc::new(self.resolve(command));
            commands.push(Arc::clone(&metrics));
            metrics
        })
    }

    fn resolve(&self, command: &'static str) -> CommandMetrics {
        let outcome = |outcome| FAMILIES.messages.with_label_values(&[self.name, command, outcome]);
        let labels = &[self.name, command];
        CommandMetrics {
            actor: self.name,
            command,
            span_name: format!("{} {command}", self.name),
            ok: outcome("ok"),
            error: outcome("error"),
            overloaded: outcome("overloaded"),
            expired: outcome("expired"),
            unavailable: outcome("unavailable"),
            duration: FAMILIES.duration.with_label_values(labels),
            wait: FAMILIES.wait.with_label_values(labels),
            batch_size: FAMILIES.batch_size.with_label_values(labels),
            depth: self.depth.clone(),
            in_flight: self.in_flight.clone(),
        }
    }
}

impl CommandMetrics {
    /// Opens the span of a command.
    pub fn open_span(&self) -> Span {
        detail_span!(
            "command",
            otel.name = self.span_name.as_str(),
            actor.name = self.actor,
            actor.command = self.command,
            actor.outcome = field::Empty,
            otel.status_code = field::Empty,
            error.type = field::Empty,
        )
    }
}
