//! Three Kafka brokers, of which a test may kill one.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use futures::future::join_all;

use super::{eventually, free_port};
use crate::stack::folders::Folders;
use crate::stack::kafka::{CLUSTER_ID, java};
use crate::stack::process::Process;

const BROKERS: usize = 3;
/// How long a start may take on a machine that is busy with other tests.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// Three brokers, each with its own copy of every record. Dropping this value kills them.
#[derive(Debug)]
pub struct KafkaCluster {
    ports: Vec<u16>,
    processes: Vec<Process>,
    _folders: Folders,
}

impl KafkaCluster {
    /// Starts the brokers and waits until they answer.
    pub async fn start() -> Self {
        let folders = Folders::for_a_test_run().expect("a folder for the brokers");
        let ports: Vec<u16> = (0..BROKERS).map(|_| free_port()).collect();
        let controllers: Vec<u16> = (0..BROKERS).map(|_| free_port()).collect();
        let start = async |broker: usize| -> anyhow::Result<Process> {
            let folder = folders.create_data(&format!("kafka-{broker}"))?;
            let settings = folder.join("server.properties");
            fs::write(&settings, properties(broker, &ports, &controllers, &folder))?;
            let log = format!("kafka-{broker}");
            java("Kafka (format)", &format!("{log}-format"), "kafka.tools.StorageTool", &folders)?
                .args(["format", "-t", CLUSTER_ID, "-c"])
                .arg(&settings)
                .run(READY_WITHIN)
                .await?;
            java(&format!("Kafka broker {broker}"), &log, "kafka.Kafka", &folders)?
                .arg(&settings)
                .port(ports[broker])
                .start()
        };
        let started = join_all((0..BROKERS).map(start)).await;
        let processes: Vec<Process> =
            started.into_iter().map(|process| process.expect("a broker starts")).collect();
        let cluster = Self { ports, processes, _folders: folders };
        for port in &cluster.ports {
            eventually(READY_WITHIN, "the broker listens", async || listens(*port)).await;
        }
        cluster
    }

    /// The addresses of all brokers, comma-separated.
    pub fn brokers(&self) -> String {
        let addresses: Vec<String> =
            self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        addresses.join(",")
    }

    /// Kills a broker, as kill -9 does.
    pub fn kill(&mut self, broker: usize) {
        self.processes[broker].kill().expect("the broker can be killed");
    }

    /// Starts a broker that was killed.
    pub async fn restart(&mut self, broker: usize) {
        self.processes[broker].restart(READY_WITHIN).await.expect("the broker starts again");
    }
}

impl Drop for KafkaCluster {
    /// The last broker could not shut down cleanly, because that needs the others.
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
        }
    }
}

fn listens(port: u16) -> io::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).map(drop)
}

/// Each broker is a controller too. A record is acknowledged when two of three brokers have it.
fn properties(broker: usize, ports: &[u16], controllers: &[u16], data: &Path) -> String {
    let voters: Vec<String> = (1..)
        .zip(controllers)
        .map(|(id, controller)| format!("{id}@127.0.0.1:{controller}"))
        .collect();
    let (id, port, controller) = (broker + 1, ports[broker], controllers[broker]);
    let (voters, data) = (voters.join(","), data.join("data"));
    format!(
        "process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
listeners=CONTROLLER://127.0.0.1:{controller},CLIENTS://127.0.0.1:{port}
advertised.listeners=CLIENTS://127.0.0.1:{port}
inter.broker.listener.name=CLIENTS
listener.security.protocol.map=CONTROLLER:PLAINTEXT,CLIENTS:PLAINTEXT
log.dirs={data}
num.partitions=2
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
",
        data = data.display()
    )
}
