//! A log whose reader is blocked.

use dev::stack::program::Program;
use dev::testing::Servers;
use futures::future::join_all;

use crate::support::{Rest, SOON, Samples, eventually, free_port, set};

#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing_and_what_is_dropped_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let binary = Servers::from_env().bin_dir.join("notifier");
    // The shell keeps the pipe open and never reads from it.
    let script = format!("mkfifo pipe && exec 3<>pipe && exec {} >pipe 3<&3", binary.display());
    let script = format!("cd {} && {script}", folder.path().display());
    let port = free_port();
    let mut program =
        Program::new("notifier", "/bin/sh", folder.path().join("log")).args(["-c", &script]);
    for (name, value) in [set("HTTP_PORT", port), set("RUST_LOG", "trace")] {
        program = program.env(name, value);
    }
    let _process = program.start().unwrap();
    let notifier = Rest::new(format!("http://127.0.0.1:{port}"));
    let alive = async || notifier.request(reqwest::Method::GET, "/livez").send().await.map(drop);
    eventually(SOON, "the notifier is alive", alive).await;
    eventually(3 * SOON, "lines are dropped", async || {
        join_all((0..50).map(|_| notifier.get("/nothing"))).await;
        let samples = Samples::parse(&notifier.get("/metrics").await.expect(200).body);
        samples.sum("log_lines_dropped_total", &[]) > 0.0
    })
    .await;
    notifier.get("/livez").await.expect(200);
}
