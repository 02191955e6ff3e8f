//! The settings that loms reads from its environment. Names and units of the older settings cannot
//! change: existing deployments use them.

use std::time::Duration;

use kafka_actors::Brokers;
use service_kit::grpc::GrpcServerSettings;
use service_kit::http::HttpServerSettings;
use service_kit::identity::IdentitySettings;
use service_kit::process;
use service_kit::settings::KafkaSettings;
use service_kit::settings::{Reader, SettingsError, ShardDefaults, ShardSettings};
use service_kit::shard::ShardRouter;

use crate::api::REQUEST_LIMIT_BYTES;

const LOCAL_STACK: ShardDefaults = ShardDefaults {
    primaries: &["localhost:5432", "localhost:5434"],
    replicas: &[Some("localhost:5433"), None],
    name: "loms",
    prefix: "",
};

/// The default topic of the order events. loms and notifier must agree on it.
const ORDER_EVENTS: &str = "loms.order-events";

/// All settings of loms.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address and limits of the REST gateway and the operational routes (`HTTP_PORT`).
    pub http: HttpServerSettings,
    /// Address and limits of gRPC (`GRPC_HOST_PORT`).
    pub grpc: GrpcServerSettings,
    /// Which tokens callers need (`JWT_*`). Without it, everybody may call.
    pub identity: Option<IdentitySettings>,
    /// The databases of each shard (`DATABASE_MASTER_*_k`, `DATABASE_REPLICA_*_k`).
    pub shards: Vec<ShardSettings>,
    /// Maps users and orders to shards. It has as many shards as `shards`.
    pub router: ShardRouter,
    /// Maximum number of connections of each pool (`DATABASE_MAX_CONNECTIONS`).
    pub max_connections: u32,
    /// Maximum lag of a replica that lists are read from (`REPLICA_MAX_LAG`).
    pub replica_max_lag: Duration,
    /// Whether loms migrates the databases when it starts (`MIGRATE_ON_START`).
    pub migrate_on_start: bool,
    /// Brokers, topic and retries of Kafka (`KAFKA_BROKER`, `KAFKA_TOPIC`, `KAFKA_RETRY_MAX`).
    pub kafka: KafkaSettings,
    /// How often a relay polls the outbox when nothing wakes it (`INTERVAL_OUTBOX`, nanoseconds).
    /// The relay polls at least every 50 ms.
    pub outbox_interval: Duration,
    /// How long an order may await its payment (`ORDER_PAYMENT_TTL`).
    pub payment_ttl: Duration,
    /// How often the sweepers run (`SWEEP_INTERVAL`).
    pub sweep_interval: Duration,
    /// Minimum age at which a reservation without an order is given back (`RESERVATION_GRACE`).
    pub reservation_grace: Duration,
    /// How long the idempotency key of an order is remembered (`IDEMPOTENCY_TTL`).
    pub key_ttl: Duration,
    /// Maximum number of commands in one actor, queued or running (`ACTOR_CAPACITY`).
    pub actor_capacity: usize,
    /// Number of threads for the actors. With 0, actors share the thread of the gRPC server
    /// (`ARBITERS`).
    pub arbiters: usize,
    /// How long a thread may hang before the process exits (`THREAD_TIMEOUT`).
    pub thread_timeout: Duration,
}

impl Settings {
    /// Reads all settings. The defaults fit the local stack.
    ///
    /// # Errors
    /// Lists every invalid setting.
    pub fn read(mut reader: Reader) -> Result<Self, SettingsError> {
        let http = HttpServerSettings::read(&mut reader, "HTTP_PORT", 8081);
        let grpc = GrpcServerSettings::read(&mut reader, "GRPC_HOST_PORT", 50051);
        let shards = ShardSettings::read(&mut reader, &LOCAL_STACK);
        let reservation_grace =
            reservation_grace(&mut reader, http.request_timeout.max(grpc.request_timeout));
        let payment_ttl = reader.duration("ORDER_PAYMENT_TTL", Duration::from_mins(10));
        let listeners = [("HTTP_PORT", http.address), ("GRPC_HOST_PORT", grpc.address)];
        let settings = Self {
            identity: IdentitySettings::read(&mut reader, &listeners),
            http: HttpServerSettings { body_limit_bytes: REQUEST_LIMIT_BYTES, ..http },
            grpc: GrpcServerSettings { message_limit_bytes: REQUEST_LIMIT_BYTES, ..grpc },
            router: router(&mut reader, shards.len()),
            shards,
            max_connections: reader.get_in("DATABASE_MAX_CONNECTIONS", 8, 2..=1000),
            replica_max_lag: reader.duration("REPLICA_MAX_LAG", Duration::from_secs(2)),
            migrate_on_start: reader.flag("MIGRATE_ON_START", true),
            kafka: KafkaSettings::read(&mut reader, ORDER_EVENTS),
            outbox_interval: reader.nanoseconds("INTERVAL_OUTBOX", Duration::from_secs(1)),
            payment_ttl,
            sweep_interval: reader.duration("SWEEP_INTERVAL", Duration::from_secs(1)),
            reservation_grace,
            key_ttl: key_ttl(&mut reader, payment_ttl),
            actor_capacity: reader.get_in("ACTOR_CAPACITY", 4096, 1..=1_000_000),
            arbiters: reader.get_in("ARBITERS", 0, 0..=256),
            thread_timeout: process::thread_timeout(&mut reader),
        };
        reader.finish().map(|()| settings)
    }

    /// The brokers, as a client of Kafka needs them.
    pub fn brokers(&self) -> Brokers {
        Brokers::new(&self.kafka.brokers).with(self.kafka.security())
    }
}

const ONE_SHARD: ShardRouter = match ShardRouter::new(1) {
    Some(router) => router,
    None => panic!("a router has at least one shard"),
};

fn router(reader: &mut Reader, shards: usize) -> ShardRouter {
    u16::try_from(shards).ok().and_then(ShardRouter::new).unwrap_or_else(|| {
        reader.reject("DATABASE_MASTER_HOST_PORT_0", "1 to 1000 shards");
        ONE_SHARD
    })
}

/// The grace exceeds the request timeout. A create that has not written its order by then has
/// already answered that its deadline passed.
fn reservation_grace(reader: &mut Reader, request_timeout: Duration) -> Duration {
    let grace = reader.duration("RESERVATION_GRACE", Duration::from_mins(1));
    if grace <= request_timeout {
        reader.reject("RESERVATION_GRACE", "longer than REQUEST_TIMEOUT");
    }
    grace
}

/// The key must outlive the payment: an order that awaits its payment must be found by its key.
fn key_ttl(reader: &mut Reader, payment_ttl: Duration) -> Duration {
    let ttl = reader.duration("IDEMPOTENCY_TTL", Duration::from_hours(7 * 24));
    if ttl <= payment_ttl {
        reader.reject("IDEMPOTENCY_TTL", "longer than ORDER_PAYMENT_TTL");
    }
    ttl
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_the_local_stack() {
        let settings = Settings::read(Reader::from_pairs([("", "")])).unwrap();
        assert_eq!(settings.http.address.to_string(), "127.0.0.1:8081");
        assert_eq!(settings.grpc.address.to_string(), "127.0.0.1:50051");
        let primaries: Vec<String> =
            settings.shards.iter().map(|shard| shard.primary.address.to_string()).collect();
        assert_eq!(primaries, ["localhost:5432", "localhost:5434"]);
        assert_eq!(settings.shards[0].primary.name, "loms");
        assert!(settings.shards[0].replica.is_some() && settings.shards[1].replica.is_none());
        assert_eq!(settings.router.len(), 2);
        assert_eq!(settings.payment_ttl, Duration::from_mins(10));
    }

    #[test]
    fn a_key_outlives_the_time_to_pay() {
        let read = |ttl: &str| {
            Settings::read(Reader::from_pairs([
                ("ORDER_PAYMENT_TTL", "1h"),
                ("IDEMPOTENCY_TTL", ttl),
            ]))
        };
        assert_eq!(read("2h").unwrap().key_ttl, Duration::from_hours(2));
        assert_eq!(read("1h").unwrap_err().problems[0].name, "IDEMPOTENCY_TTL");
    }

    #[test]
    fn a_reservation_outlives_the_request_that_made_it() {
        let read = |grace: &str| {
            Settings::read(Reader::from_pairs([
                ("REQUEST_TIMEOUT", "2s"),
                ("RESERVATION_GRACE", grace),
            ]))
        };
        assert_eq!(read("3s").unwrap().reservation_grace, Duration::from_secs(3));
        assert_eq!(read("2s").unwrap_err().problems[0].name, "RESERVATION_GRACE");
    }

    #[test]
    fn every_wrong_setting_is_told() {
        let pairs = [("HTTP_PORT", "http"), ("ORDER_PAYMENT_TTL", "10"), ("INTERVAL_OUTBOX", "1s")];
        let error = Settings::read(Reader::from_pairs(pairs)).unwrap_err();
        let names: Vec<&str> = error.problems.iter().map(|problem| problem.name.as_str()).collect();
        assert_eq!(names, ["HTTP_PORT", "ORDER_PAYMENT_TTL", "INTERVAL_OUTBOX"]);
    }
}
