//! Apache Kafka in `KRaft` mode as a single node, with the configuration file from docker/kafka.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;

use super::folders::Folders;
use super::process::Process;
use super::program::Program;
use super::tools;

/// The topic of the order events.
pub const TOPIC: &str = "loms.order-events";
/// The number of partitions of [`TOPIC`].
pub const PARTITIONS: i32 = 2;

/// As many replicas as the broker creates by default.
pub const BROKERS_DEFAULT: TopicReplication<'static> = TopicReplication::Fixed(-1);

/// 16 bytes in base64, the format of Kafka's cluster ids. It can be a constant because a data
/// folder only ever belongs to one cluster.
pub const CLUSTER_ID: &str = "c2hvcC1sb2NhbC1rYWZrYQ";

/// The ports that Kafka listens on, on localhost.
#[derive(Clone, Debug)]
pub struct Listeners {
    /// For clients.
    pub port: u16,
    /// For the controller.
    pub controller_port: u16,
    /// Set if clients connect through a proxy in front of `port`.
    pub proxied: Option<Proxied>,
    /// Set if clients may also connect with TLS and a login.
    pub secured: Option<Secured>,
}

impl Listeners {
    /// Listeners without a proxy.
    pub const fn new(port: u16, controller_port: u16) -> Self {
        Self { port, controller_port, proxied: None, secured: None }
    }
}

/// The extra ports of a broker behind a proxy.
#[derive(Clone, Copy, Debug)]
pub struct Proxied {
    /// The proxy's port, which the broker advertises to clients.
    pub proxy_port: u16,
    /// The port on which the broker talks to itself, bypassing the proxy.
    pub broker_port: u16,
}

/// A port for clients with TLS that log in by SCRAM-SHA-512.
#[derive(Clone, Debug)]
pub struct Secured {
    /// The port.
    pub port: u16,
    /// A PEM file with the broker's key and certificate.
    pub keystore: PathBuf,
    /// The only user.
    pub user: String,
    /// The user's password.
    pub password: String,
}

/// Starts Kafka on localhost and creates the topic of the order events if it is missing. Returns
/// when both are usable.
pub async fn start(listeners: &Listeners, folders: &Folders) -> Result<Process> {
    let jars = folders.kafka_jars();
    if !jars.join("pom.xml").is_file() {
        bail!("Kafka's jars are not in {}: run `make setup`", jars.display());
    }
    let folder = folders.create_data("kafka")?;
    let data = folder.join("data");
    if !data.join("meta.properties").is_file() {
        format_storage(listeners, &folder, &data, folders).await?;
    }
    let properties = folder.join("server.properties");
    render_properties(listeners, &data, &properties, folders)?;
    let mut process = java("Kafka", "kafka", "kafka.Kafka", folders)?
        .arg(&properties)
        .port(listeners.port)
        .start()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, listeners.port));
    let accepts =
        async || Ok(TcpStream::connect_timeout(&address, Duration::from_secs(1)).map(drop)?);
    process.until_ready(Duration::from_mins(1), accepts).await?;
    let admin = admin_client(&address.to_string())?;
    process
        .until_ready(Duration::from_secs(30), async || {
            create_topic(&admin, TOPIC, PARTITIONS).await
        })
        .await?;
    Ok(process)
}

/// A client that creates and deletes topics.
pub fn admin_client(host_port: &str) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", host_port)
        .set("broker.address.family", "v4")
        .set("reconnect.backoff.max.ms", "100")
        .create()?)
}

/// Creates a topic unless it exists.
pub async fn create_topic(
    admin: &AdminClient<DefaultClientContext>,
    name: &str,
    partitions: i32,
) -> Result<()> {
    let topic = NewTopic::new(name, partitions, BROKERS_DEFAULT);
    let timeout = Some(Duration::from_secs(10));
    let options = AdminOptions::new().request_timeout(timeout).operation_timeout(timeout);
    for outcome in admin.create_topics([&topic], &options).await? {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => bail!("topic {topic} cannot be created: {code}"),
        }
    }
    Ok(())
}

/// Formats a temporary folder and renames it when it is complete. Removes what an interrupted start
/// left there.
async fn format_storage(
    listeners: &Listeners,
    folder: &Path,
    data: &Path,
    folders: &Folders,
) -> Result<()> {
    let unfinished = folder.join("data.unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    let properties = folder.join("format.properties");
    render_properties(listeners, &unfinished, &properties, folders)?;
    let mut format = java("Kafka (format)", "kafka-format", "kafka.tools.StorageTool", folders)?
        .args(["format", "--standalone", "-t", CLUSTER_ID, "-c"])
        .arg(&properties);
    if let Some(Secured { user, password, .. }) = &listeners.secured {
        let login = format!("SCRAM-SHA-512=[name={user},password={password}]");
        format = format.args(["--add-scram", &login]);
    }
    format.run(Duration::from_mins(1)).await?;
    if data.exists() {
        fs::remove_dir_all(data)?;
    }
    fs::rename(&unfinished, data)?;
    Ok(())
}

/// A program of Kafka, by its Java class.
pub fn java(name: &str, log: &str, class: &str, folders: &Folders) -> Result<Program> {
    let logging = folders.root().join("dev/kafka/log4j2.properties");
    let mut logging_option = OsString::from("-Dlog4j2.configurationFile=");
    logging_option.push(&logging);
    let classpath: PathBuf = folders.kafka_jars().join("*");
    // A small heap and only the first-tier compiler: the broker shares a developer's machine.
    Ok(Program::new(name, tools::java()?, folders.log(log))
        .args([
            "-Xms64m",
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Xshare:auto",
        ])
        .arg(logging_option)
        .arg("-cp")
        .arg(classpath)
        .arg(class))
}

fn render_properties(
    listeners: &Listeners,
    data: &Path,
    rendered: &Path,
    folders: &Folders,
) -> Result<()> {
    let source = folders.root().join("docker/kafka/server.properties");
    let text =
        fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let Listeners { port, controller_port, proxied, ref secured } = *listeners;
    let controller = format!("127.0.0.1:{controller_port}");
    let mut heard = format!("CONTROLLER://{controller},EXTERNAL://127.0.0.1:{port}");
    let clients_come_to = proxied.map_or(port, |proxied| proxied.proxy_port);
    let mut advertised =
        format!("CONTROLLER://{controller},EXTERNAL://127.0.0.1:{clients_come_to}");
    // Where localhost also means ::1, clients try that first. Accept them there and advertise
    // 127.0.0.1 to them.
    if has_ipv6() {
        write!(heard, ",EXTERNAL6://[::1]:{port}")?;
        write!(advertised, ",EXTERNAL6://127.0.0.1:{clients_come_to}")?;
    }
    if let Some(Proxied { broker_port, .. }) = proxied {
        let own = format!(",BROKER://127.0.0.1:{broker_port}");
        heard += &own;
        advertised += &own;
    }
    let mut more = Vec::new();
    if let Some(Secured { port, keystore, .. }) = secured {
        let own = format!(",SECURED://127.0.0.1:{port}");
        heard += &own;
        advertised += &own;
        more = vec![
            "listener.name.secured.ssl.keystore.type=PEM".to_owned(),
            format!("listener.name.secured.ssl.keystore.location={}", keystore.display()),
            "listener.name.secured.sasl.enabled.mechanisms=SCRAM-SHA-512".to_owned(),
            "listener.name.secured.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned(),
        ];
    }
    let between_brokers = if proxied.is_some() { "BROKER" } else { "EXTERNAL" };
    let protocols = "CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT,EXTERNAL6:PLAINTEXT,BROKER:PLAINTEXT,SECURED:SASL_SSL";
    let replaced = [
        ("controller.quorum.bootstrap.servers", controller),
        ("listeners", heard),
        ("advertised.listeners", advertised),
        ("listener.security.protocol.map", protocols.to_owned()),
        ("inter.broker.listener.name", between_brokers.to_owned()),
        ("log.dirs", data.display().to_string()),
    ];
    let key = |line: &str| line.split_once('=').map(|(key, _)| key.trim().to_owned());
    let kept = text
        .lines()
        .filter(|line| !replaced.iter().any(|(name, _)| key(line).as_deref() == Some(name)));
    let ours = replaced.iter().map(|(name, value)| format!("{name}={value}"));
    let lines: Vec<String> = kept.map(str::to_owned).chain(ours).chain(more).collect();
    fs::write(rendered, lines.join("\n") + "\n")
        .with_context(|| format!("cannot write {}", rendered.display()))
}

fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}
