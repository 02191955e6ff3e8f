//! A service that crashes leaves no image of its memory, which contains secrets.

use std::fs::read_to_string;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;

use crate::support::{Env, Rest, SOON, Servers, eventually, free_port, on_loopback, set};

/// Starts a notifier without a limit on the size of core dumps, and crashes it.
async fn crash(more: Env) -> ExitStatus {
    let folder = tempfile::tempdir().unwrap();
    let address = on_loopback(free_port());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "ulimit -c unlimited; exec \"$0\""]);
    shell.arg(Servers::from_env().bin_dir.join("notifier")).current_dir(&folder).env_clear();
    // Nothing listens there.
    for server in ["DATABASE_MASTER_HOST_PORT_0", "KAFKA_BROKER"] {
        shell.env(server, on_loopback(free_port()));
    }
    shell.envs(more).env("HTTP_PORT", &address).kill_on_drop(true);
    let mut notifier = shell.spawn().unwrap();
    let rest = Rest::new(format!("http://{address}"));
    let alive = async || rest.request(reqwest::Method::GET, "/livez").send().await.map(drop);
    eventually(SOON, "the notifier is alive", alive).await;
    let pid = Pid::from_raw(notifier.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGABRT).unwrap();
    notifier.wait().await.unwrap()
}

#[tokio::test]
async fn a_crash_leaves_no_core_dump_unless_that_is_wanted() {
    let status = crash(Env::new()).await;
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));

    // If it is a name, the kernel writes the file into the process's folder.
    let pattern = read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let (_, hard_limit) = getrlimit(Resource::RLIMIT_CORE).unwrap();
    if !pattern.contains(['|', '/']) && hard_limit == RLIM_INFINITY {
        let status = crash(vec![set("CORE_DUMPS", true)]).await;
        assert_eq!((status.signal(), status.core_dumped()), (Some(6), true));
    }
}
