//! The arguments of the services' binaries, which are the same in all three.

use dev::testing::ServiceProcess;

use crate::support::{Env, SOON, Shop, eventually, free_port, on_loopback, run_to_end, set};

const BINARIES: [&str; 3] = ["cart", "loms", "notifier"];

#[tokio::test]
async fn help_and_version_are_told_and_nothing_else_is_done() {
    for binary in BINARIES {
        for args in [&["--help"][..], &["help"], &["migrate", "--help"], &["serve", "--help"]] {
            let ended = run_to_end(binary, args, &Env::new()).await;
            assert_eq!(ended.code, Some(0), "{binary} {args:?}: {}", ended.output);
            assert!(ended.output.contains(&format!("Usage: {binary}")), "{}", ended.output);
        }
        let help = run_to_end(binary, &["--help"], &Env::new()).await.output;
        for wanted in ["serve", "migrate", "--check-settings", "--check-ready", "--version"] {
            assert!(help.contains(wanted), "{binary}: {help}");
        }
        let version = run_to_end(binary, &["--version"], &Env::new()).await;
        assert_eq!((version.code, version.output.trim()), (Some(0), &*format!("{binary} 0.1.0")));
    }
    let verify = run_to_end("loms", &["verify", "--help"], &Env::new()).await;
    assert!(verify.output.contains("Usage: loms verify"), "{}", verify.output);
}

#[tokio::test]
async fn arguments_that_are_not_known_are_refused() {
    for binary in BINARIES {
        for args in [&["migrat"][..], &["migrate", "now"], &["--verbose"]] {
            let ended = run_to_end(binary, args, &Env::new()).await;
            assert_eq!(ended.code, Some(2), "{binary} {args:?}: {}", ended.output);
            assert!(
                ended.output.contains("error: unexpected argument")
                    || ended.output.contains("error: unrecognized")
            );
        }
    }
}

#[tokio::test]
async fn settings_can_be_checked_without_a_start_and_secrets_are_not_shown() {
    let right: Env =
        vec![set("DATABASE_MASTER_PASSWORD_0", "very-secret"), set("REQUEST_TIMEOUT", "5s")];
    for binary in BINARIES {
        let ended = run_to_end(binary, &["--check-settings"], &right).await;
        assert_eq!(ended.code, Some(0), "{binary}: {}", ended.output);
        let lines: Vec<&str> = ended.output.lines().collect();
        for wanted in
            ["DATABASE_MASTER_PASSWORD_0=***", "REQUEST_TIMEOUT=5s", "THREAD_TIMEOUT (default)"]
        {
            assert!(lines.contains(&wanted), "{binary} does not say {wanted}: {}", ended.output);
        }
        assert!(!ended.output.contains("very-secret"));

        let wrong = vec![set("REQUEST_TIMEOUT", "soon")];
        let ended = run_to_end(binary, &["--check-settings"], &wrong).await;
        assert_eq!(ended.code, Some(1), "{binary}: {}", ended.output);
        assert!(
            ended.output.starts_with(&format!("{binary}: 1 wrong setting")),
            "{}",
            ended.output
        );
        assert!(ended.output.contains("REQUEST_TIMEOUT=\"soon\""), "{}", ended.output);
    }
}

#[tokio::test]
async fn a_running_service_can_be_asked_whether_it_is_ready() {
    let shop = Shop::shared().await;
    let port = shop.loms.process.base_url().replace("http://127.0.0.1:", "");
    let everywhere =
        [set("HTTP_PORT", format!("0.0.0.0:{port}")), set("ALLOW_UNAUTHENTICATED", true)];
    let ended = run_to_end("loms", &["--check-ready"], &everywhere.to_vec()).await;
    assert_eq!((ended.code, ended.output.as_str()), (Some(0), ""));

    let no_database = vec![
        set("HTTP_PORT", on_loopback(free_port())),
        set("DATABASE_MASTER_HOST_PORT_0", on_loopback(free_port())),
        set("KAFKA_BROKER", on_loopback(free_port())),
    ];
    let ended = run_to_end("notifier", &["--check-ready"], &no_database).await;
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert!(ended.output.contains("no answer from http://127.0.0.1:"), "{}", ended.output);
    let _notifier = ServiceProcess::launch("notifier", &no_database);
    eventually(SOON, "the notifier says that it is not ready", async || {
        let ended = run_to_end("notifier", &["--check-ready"], &no_database).await;
        ended.code == Some(1) && ended.output.contains("answered 503 Service Unavailable")
    })
    .await;
}
