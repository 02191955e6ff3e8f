//! The shipping command: what it prints, and how it exits.

use std::process::Command;

use dev::testing::{Database, Servers, create_database};

use super::corruptions::corrupt;
use super::seeded::corruptions;
use super::{environment, quiet_shop};

/// Runs `loms verify` to its end. Returns its exit status and everything that it printed.
fn run(databases: &[Database; 2]) -> (Option<i32>, String) {
    run_with(environment(databases, &[("SWEEP_INTERVAL", "10ms")]))
}

fn run_with(environment: Vec<(String, String)>) -> (Option<i32>, String) {
    let binary = Servers::from_env().bin_dir.join("loms");
    let ended = Command::new(binary).arg("verify").env_clear().envs(environment).output().unwrap();
    let written = [ended.stdout, ended.stderr].concat();
    (ended.status.code(), String::from_utf8(written).unwrap())
}

#[actix::test]
async fn the_command_exits_by_what_it_found() {
    let backend = quiet_shop().await;
    let (status, output) = run(&backend.databases);
    assert_eq!(status, Some(0), "{output}");
    assert!(output.ends_with("all 25 invariants hold\n"), "{output}");
    assert!(output.contains("\nstock-within-bounds                       5 SKUs "), "{output}");

    let lost =
        corruptions().find(|wrong| wrong.what == "the reservation of an order is lost").unwrap();
    let (status, output) = run(&corrupt(&backend.databases, lost).await);
    assert_eq!(status, Some(1), "{output}");
    let told = "awaiting-order-holds-stock: an AWAITING_PAYMENT order holds a reservation\n  orders 3001\n";
    assert!(output.contains(told), "{output}");
    assert!(output.ends_with("1 of 25 invariants are violated\n"), "{output}");
}

#[actix::test]
async fn the_command_says_what_it_cannot_read() {
    let servers = Servers::from_env();
    let [first, second] = quiet_shop().await.databases;
    let empty = create_database(&servers.postgres_1, "loms").await;
    let (status, output) = run(&[first, empty]);
    assert_eq!(status, Some(2), "{output}");
    assert!(
        output.contains("shard 1 cannot be read: ") && output.contains("shard_identity"),
        "{output}"
    );

    let missing = Database { host_port: servers.postgres_0, name: "never_created".to_owned() };
    let (status, output) = run(&[missing, second]);
    assert_eq!(status, Some(2), "{output}");
    assert!(output.contains("shard 0 cannot be read: "), "{output}");
}

#[actix::test]
async fn databases_in_the_wrong_order_are_not_judged() {
    let [first, second] = quiet_shop().await.databases;
    let (status, output) = run(&[second, first]);
    assert_eq!(status, Some(2), "{output}");
    assert!(output.contains("belongs to shard"), "{output}");
}

#[actix::test]
async fn a_shop_that_is_named_in_part_is_not_judged() {
    let [first, _second] = quiet_shop().await.databases;
    let (status, output) = run_with(first.master_env(0));
    assert_eq!(status, Some(2), "{output}");
    assert!(output.contains("orders are stored on 2 shards, but the settings name 1"), "{output}");
    assert!(!output.contains("invariants hold"), "{output}");
}

#[actix::test]
async fn a_wrong_password_is_told_as_such() {
    let databases = quiet_shop().await.databases;
    let mut environment = environment(&databases, &[]);
    environment.push(("DATABASE_MASTER_PASSWORD_1".to_owned(), "wrong".to_owned()));
    let (status, output) = run_with(environment);
    assert_eq!(status, Some(2), "{output}");
    assert!(
        output.contains("shard 1 cannot be read: ") && output.contains("authentication failed"),
        "{output}"
    );
    assert!(!output.contains("wrong"), "{output}");
}
