//! A password that is wrong is called so: waiting alone would not mend it.

use dev::testing::{Servers, ServiceProcess, create_database};

use crate::support::{Loms, Rest, SOON, eventually, free_port};

const WRONG: &str = "not-the-password";

#[tokio::test]
async fn a_wrong_password_is_told_loudly_and_as_such() {
    let servers = Servers::from_env();
    let database = create_database(&servers.postgres_1, "loms").await;
    let mut env = database.master_env(0);
    env.extend(Loms::addresses(free_port(), &servers.kafka, "loms.order-events"));
    env.retain(|(name, _)| name != "DATABASE_MASTER_PASSWORD_0");
    env.push(("DATABASE_MASTER_PASSWORD_0".to_owned(), WRONG.to_owned()));
    let loms = ServiceProcess::launch("loms", &env);

    let rest = Rest::new(loms.base_url());
    eventually(SOON, "loms listens", async || {
        rest.request(reqwest::Method::GET, "/livez").send().await.map(drop)
    })
    .await;
    eventually(SOON, "readiness tells why", async || {
        let answer = rest.get("/readyz").await;
        if answer.body.contains("authentication failed") { Ok(()) } else { Err(answer.body) }
    })
    .await;
    let log = loms.log();
    let told = |line: &str| line.contains("ERROR") && line.contains("authentication failed");
    assert!(log.lines().any(told), "{log}");
    assert!(!log.contains(WRONG), "the log holds the password");
}
