//! The history of orders in databases of loms, written by hand together with its events.
#![allow(clippy::unwrap_used, reason = "a test's helper fails the test by its panic")]

use chrono::{DateTime, SubsecRound, Utc};
use dev::testing::{Database, Servers, create_database};
use notifier::Settings;
use notifier::verify::verify;
use serde_json::{Value, json};
use service_kit::settings::Reader;
use service_kit::verify::Report;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;

use crate::support::World;

static LOMS: Migrator = sqlx::migrate!("../migrations/loms");

/// Databases with the history of orders, one per shard.
pub struct History(Vec<Database>);

impl History {
    /// Databases as loms has prepared them.
    pub async fn new() -> Self {
        let servers = Servers::from_env();
        let mut databases = Vec::new();
        for shard in 0..2 {
            let database = create_database(&servers.postgres_0, "loms").await;
            let mut connection = database.connect().await;
            LOMS.run(&mut connection).await.unwrap();
            let place = format!(
                "insert into shard_identity (shard) values ({shard}); insert into shard_layouts (shards) values (2)"
            );
            connection.execute(AssertSqlSafe(place)).await.unwrap();
            connection.close().await.unwrap();
            databases.push(database);
        }
        Self(databases)
    }

    fn of(&self, order: i64) -> &Database {
        &self.0[usize::try_from(order % 1000).unwrap()]
    }

    /// Adds orders that were placed, reserved and paid. Returns their events in the order of the
    /// changes, as loms publishes them.
    pub async fn paid(&self, orders: &[i64]) -> Vec<Value> {
        let mut events = Vec::new();
        for (sequence, state) in (1..).zip(["NEW", "AWAITING_PAYMENT", "PAYED"]) {
            for shard in 0..2 {
                let of_shard: Vec<i64> =
                    orders.iter().copied().filter(|order| order % 1000 == shard).collect();
                if of_shard.is_empty() {
                    continue;
                }
                let mut connection = self.of(shard).connect().await;
                // The events have milliseconds.
                let now: DateTime<Utc> = Utc::now().trunc_subsecs(3);
                let ids: Vec<Uuid> = of_shard.iter().map(|_| Uuid::now_v7()).collect();
                sqlx::query("insert into order_history (order_id, sequence, state, event_id, occurred_at) \
                    select order_id, $1, $2, id, $3 from unnest($4::bigint[], $5::uuid[]) as change (order_id, id)")
                    .bind(sequence)
                    .bind(state)
                    .bind(now)
                    .bind(&of_shard)
                    .bind(&ids)
                    .execute(&mut connection)
                    .await
                    .unwrap();
                events.extend(of_shard.iter().zip(&ids).map(|(order, id)| {
                    json!({
                        "id": order, "state": state, "userId": 7,
                        "items": [{"sku": 1002, "count": 2}],
                        "eventId": id, "sequence": sequence,
                        "occurredAt": now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
                    })
                }));
            }
        }
        events
    }

    /// Executes statements in the database of an order.
    pub async fn execute(&self, order: i64, statements: &str) {
        let mut connection: PgConnection = self.of(order).connect().await;
        connection.execute(AssertSqlSafe(statements.to_owned())).await.unwrap();
    }

    /// The settings that name the databases.
    pub fn env(&self) -> Vec<(String, String)> {
        let shards = (0..).zip(&self.0);
        let pairs = shards.flat_map(|(shard, database)| database.master_env(shard));
        pairs.map(|(name, value)| (format!("LOMS_{name}"), value)).collect()
    }

    /// Compares this history with what a notifier of `group` has done.
    pub async fn verify(&self, world: &World, group: &str) -> Report {
        let settings = Reader::from_pairs(world.env(group).into_iter().chain(self.env()));
        verify(&Settings::read(settings).unwrap()).await.unwrap()
    }
}
