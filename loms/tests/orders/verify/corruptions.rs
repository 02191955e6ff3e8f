//! Each corruption is reported by the one invariant that it violates, with the ids at fault.

use std::collections::BTreeSet;

use dev::testing::Database;
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::seeded::{Corruption, corruptions};
use super::{quiet_shop, verified, violations};

#[actix::test]
async fn each_corruption_violates_one_invariant_and_is_told_of_with_its_ids() {
    let backend = quiet_shop().await;
    let healthy = verified(&backend.databases).await;
    assert!(healthy.holds(), "{healthy}");
    let names: BTreeSet<&str> =
        healthy.findings.iter().map(|finding| finding.invariant.name).collect();
    let seeded: BTreeSet<&str> = corruptions().map(|corruption| corruption.invariant).collect();
    assert_eq!(names, seeded, "every invariant has a corruption that it tells of");

    let mut wrong = Vec::new();
    for corruption in corruptions() {
        let databases = corrupt(&backend.databases, corruption).await;
        let report = verified(&databases).await;
        let expected = [(corruption.invariant, corruption.ids.to_vec())].into();
        if violations(&report) != expected {
            wrong.push(format!(
                "{}: {:?} instead of {expected:?}",
                corruption.what,
                violations(&report)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Copies the databases and makes one thing wrong in the copies.
pub async fn corrupt(healthy: &[Database; 2], corruption: &Corruption) -> [Database; 2] {
    let databases = [healthy[0].copy().await, healthy[1].copy().await];
    for (database, statement) in corruption.statements {
        let mut connection = databases[*database].connect().await;
        connection.execute(AssertSqlSafe(*statement)).await.unwrap();
        connection.close().await.unwrap();
    }
    databases
}
