//! The local stack, as `make run` starts it, on free ports and with data of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use dev::stack::process::{Process, Signal};
use dev::stack::program::Program;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::support::{Rest, SOON, Servers, eventually, free_port};

/// Includes the start of all servers and a purchase.
const STARTED_WITHIN: Duration = Duration::from_mins(3);
const PORTS: [&str; 13] = [
    "POSTGRES_0",
    "POSTGRES_REPLICA_0",
    "POSTGRES_1",
    "REDIS",
    "KAFKA",
    "KAFKA_CONTROLLER",
    "CART",
    "LOMS",
    "LOMS_GRPC",
    "NOTIFIER",
    "PRODUCTS",
    "SWAGGER",
    "PROMETHEUS",
];

fn output(stack: &Process) -> String {
    std::fs::read_to_string(stack.log_file()).unwrap()
}

/// The process whose program has this name and whose environment or arguments contain `mark`.
fn find(program: &str, mark: &str) -> Option<Pid> {
    std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let is_it = std::fs::read_link(entry.path().join("exe")).ok()?.file_name()? == program;
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let words =
            String::from_utf8_lossy(&[read("environ"), read("cmdline")].concat()).into_owned();
        (is_it && words.contains(mark)).then(|| Pid::from_raw(id))
    })
}

async fn says(stack: &Process, what: &str) {
    eventually(SOON, &format!("the stack says {what:?}"), async || {
        let said = output(stack);
        if said.contains(what) { Ok(()) } else { Err(said) }
    })
    .await;
}

#[tokio::test]
async fn what_is_killed_is_restarted_and_the_shop_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    // The servers' user must be able to enter it.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let data = folder.path().join("data");
    let ports = PORTS.map(|name| (format!("SHOP_{name}_PORT"), free_port().to_string()));
    let path = Servers::from_env().bin_dir.join("stack");
    let mut program = Program::new("stack", path, folder.path().join("output")).arg("run");
    for (name, port) in &ports {
        program = program.env(name, port);
    }
    // Without it, only root could read the environment of the services, which `find` needs.
    let program = program.env("CORE_DUMPS", "true");
    let mut stack = program.env("SHOP_DATA", &data).start().unwrap();
    eventually(STARTED_WITHIN, "the shop is open", async || {
        assert!(stack.exit_status().unwrap().is_none(), "{}", output(&stack));
        output(&stack).contains("The shop is open")
    })
    .await;

    let port = |name: &str| {
        &ports.iter().find(|(port, _)| port == &format!("SHOP_{name}_PORT")).unwrap().1
    };
    let postgres = data.join("postgres/shard-1");
    let postgres = std::fs::canonicalize(&postgres).unwrap_or(postgres);
    let victims = [
        ("loms", format!("HTTP_PORT=127.0.0.1:{}", port("LOMS")), "loms"),
        ("cart", format!("HOST_PORT=127.0.0.1:{}", port("CART")), "cart"),
        ("postgres", Path::new("-D\0").join(postgres).display().to_string(), "PostgreSQL shard 1"),
    ];
    for (program, mark, name) in &victims {
        let mark = mark.replace("\0/", "\0");
        let process = find(program, &mark).unwrap_or_else(|| panic!("no {name} with {mark:?}"));
        kill(process, Signal::SIGKILL).unwrap();
        says(&stack, &format!("{name} has ended (signal 9) and is restarted")).await;
        says(&stack, &format!("{name} runs again")).await;
    }
    let cart = Rest::new(format!("http://127.0.0.1:{}", port("CART")));
    for user in [7, 8] {
        let path = format!("/user/{user}/cart/1002");
        let add = async || cart.post(&path, serde_json::json!({"count": 1})).await.status == 200;
        eventually(SOON, "carts work again", add).await;
        let checkout = async || {
            cart.post("/cart/checkout", serde_json::json!({"user": user})).await.status == 200
        };
        eventually(SOON, "and checkouts do", checkout).await;
    }
    stack.signal(Signal::SIGINT).unwrap();
    let status = eventually(SOON, "it ends", async || stack.exit_status().unwrap()).await;
    assert!(status.success(), "{}", output(&stack));
    assert!(
        find("loms", &format!("HTTP_PORT=127.0.0.1:{}", port("LOMS"))).is_none(),
        "all have ended"
    );
}
