//! Threads that hang and servers that end: nothing within the process can mend that, so it exits, and is started again.

use dev::testing::{Fault, Servers};

use crate::support::{Loms, SOON, eventually, new_user, set};

#[tokio::test]
async fn a_loms_whose_server_ends_by_itself_says_so_and_ends() {
    let panics = vec![set("FAILPOINTS", "grpc::accepting=1*off->panic")];
    let mut shop = Loms::start(&Servers::from_env(), panics).await;
    let _ = shop.client().all().await;
    let status = eventually(SOON, "the process ends", async || shop.process.exited()).await;
    assert_eq!(status.code(), Some(1), "{status}");
    let log = shop.process.log();
    assert!(log.contains("the gRPC server at"), "{log}");
}

#[tokio::test]
async fn a_loms_whose_actors_hang_ends_and_works_again_once_it_is_started_again() {
    let hang = vec![
        set("ACTOR_THREAD_TIMEOUT", "2s"),
        // The thread sleeps in the middle of the fourth order, far longer than the test takes.
        set("FAILPOINTS", "create::reserved=3*off->sleep(600000)"),
    ];
    let mut shop = Loms::start(&Servers::from_env(), hang).await;
    let sku = shop.stock(10).await;
    let loms = shop.client();
    for _ in 0..3 {
        loms.create(new_user(), &[(sku, 1)]).await.unwrap();
    }
    let order = async || loms.create(new_user(), &[(sku, 1)]).await;
    let status = async { eventually(SOON, "the process ends", async || shop.process.exited()).await };
    let (refused, status) = tokio::join!(order(), status);
    refused.unwrap_err();
    assert_eq!(status.code(), Some(1), "{status}");
    let log = shop.process.log();
    assert!(log.contains("a thread of actors has hung"), "{log}");
    shop.process.restart().await;
    Fault::passed("a thread of actors that hangs")
        .normal_when("orders are created", async || order().await.is_ok())
        .await;
}
