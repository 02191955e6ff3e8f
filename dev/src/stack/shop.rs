//! The whole shop: the servers, the product stand-in, the three services, their Swagger UI, and
//! Prometheus. Everything listens on loopback only.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Error, Result, bail};
use serde_json::Value;

use super::folders::Folders;
use super::keeper::keep_running;
use super::ports::{on_loopback, port_from_env, require_all_free};
use super::process::Process;
use super::report::{headline, step};
use super::servers::{self, ServerPorts};
use super::service::Service;
use super::signals::Interruption;
use super::{prometheus, stop_in_reverse};

/// The ports of the shop on localhost.
#[derive(Debug, Clone, Copy)]
pub struct ShopPorts {
    /// The ports of the servers.
    pub servers: ServerPorts,
    /// cart's REST interface.
    pub cart: u16,
    /// loms' REST gateway.
    pub loms: u16,
    /// loms' gRPC interface.
    pub loms_grpc: u16,
    /// The notifier's metrics and health checks.
    pub notifier: u16,
    /// The product stand-in.
    pub products: u16,
    /// The Swagger UI page for all services.
    pub swagger: u16,
    /// Prometheus.
    pub prometheus: u16,
}

impl ShopPorts {
    /// The default ports, except those that environment variables such as `SHOP_CART_PORT` change.
    pub fn from_env() -> Result<Self> {
        Ok(Self {
            servers: ServerPorts::from_env()?,
            cart: port_from_env("SHOP_CART_PORT", 8082)?,
            loms: port_from_env("SHOP_LOMS_PORT", 8081)?,
            loms_grpc: port_from_env("SHOP_LOMS_GRPC_PORT", 50051)?,
            notifier: port_from_env("SHOP_NOTIFIER_PORT", 8083)?,
            products: port_from_env("SHOP_PRODUCTS_PORT", 8090)?,
            swagger: port_from_env("SHOP_SWAGGER_PORT", 8089)?,
            prometheus: port_from_env("SHOP_PROMETHEUS_PORT", 9090)?,
        })
    }

    /// Each part of the shop besides the servers, the environment variable that changes its port,
    /// and its port.
    fn list(&self) -> [(&'static str, &'static str, u16); 7] {
        [
            ("cart", "SHOP_CART_PORT", self.cart),
            ("loms", "SHOP_LOMS_PORT", self.loms),
            ("loms (gRPC)", "SHOP_LOMS_GRPC_PORT", self.loms_grpc),
            ("notifier", "SHOP_NOTIFIER_PORT", self.notifier),
            ("the product stand-in", "SHOP_PRODUCTS_PORT", self.products),
            ("Swagger UI", "SHOP_SWAGGER_PORT", self.swagger),
            ("Prometheus", "SHOP_PROMETHEUS_PORT", self.prometheus),
        ]
    }

    fn products(&self) -> Service {
        let settings = vec![("HTTP_PORT", self.products.to_string())];
        Service { name: "product-stand-in", port: self.products, settings }
    }

    fn cart(&self) -> Service {
        let settings = vec![
            ("HOST_PORT", on_loopback(self.cart)),
            ("LOMS_BASE_URL", format!("http://localhost:{}", self.loms_grpc)),
            ("PRODUCT_SERVICE_BASE_URL", format!("http://localhost:{}", self.products)),
            ("REDIS_ADDRESS", on_localhost(self.servers.redis)),
            ("DATABASE_MASTER_HOST_PORT_0", on_localhost(self.servers.postgres_0)),
            ("DATABASE_MASTER_HOST_PORT_1", on_localhost(self.servers.postgres_1)),
            self.allowed_pages(),
        ];
        Service { name: "cart", port: self.cart, settings }
    }

    fn loms(&self) -> Service {
        let settings = vec![
            ("HTTP_PORT", on_loopback(self.loms)),
            ("GRPC_HOST_PORT", on_loopback(self.loms_grpc)),
            ("KAFKA_BROKER", on_localhost(self.servers.kafka)),
            ("DATABASE_MASTER_HOST_PORT_0", on_localhost(self.servers.postgres_0)),
            ("DATABASE_REPLICA_HOST_PORT_0", on_localhost(self.servers.postgres_replica_0)),
            ("DATABASE_MASTER_HOST_PORT_1", on_localhost(self.servers.postgres_1)),
            self.allowed_pages(),
        ];
        Service { name: "loms", port: self.loms, settings }
    }

    fn notifier(&self) -> Service {
        let settings = vec![
            ("HTTP_PORT", on_loopback(self.notifier)),
            ("KAFKA_BROKER", on_localhost(self.servers.kafka)),
            ("DATABASE_MASTER_HOST_PORT_0", on_localhost(self.servers.postgres_0)),
            self.allowed_pages(),
        ];
        Service { name: "notifier", port: self.notifier, settings }
    }

    /// `configuration` is a file of Swagger UI.
    fn swagger(&self, configuration: &str) -> Service {
        let settings = vec![
            ("HTTP_PORT", self.swagger.to_string()),
            ("SWAGGER_CONFIG", configuration.to_owned()),
        ];
        Service { name: "swagger-page", port: self.swagger, settings }
    }

    /// The pages that may call the services from a browser.
    fn allowed_pages(&self) -> (&'static str, String) {
        let port = self.swagger;
        ("SWAGGER_FOR_CORS_ALLOWED_URL", format!("http://localhost:{port},http://127.0.0.1:{port}"))
    }

    /// Writes the configuration of Swagger UI with these ports, and returns the file.
    fn write_swagger_configuration(&self, folders: &Folders) -> Result<String> {
        let source = folders.root().join("docker/swagger-ui/swagger-config.json");
        let text = fs::read_to_string(&source)
            .with_context(|| format!("cannot read {}", source.display()))?;
        let mut configuration: Value = serde_json::from_str(&text)?;
        for page in configuration["urls"].as_array_mut().into_iter().flatten() {
            let port = match page["name"].as_str() {
                Some("cart") => self.cart,
                Some("loms") => self.loms,
                Some("notifier") => self.notifier,
                name => bail!("{} names {name:?}, which is no service", source.display()),
            };
            page["url"] = format!("http://localhost:{port}/openapi.json").into();
        }
        let file = folders.create_data("swagger")?.join("swagger-config.json");
        fs::write(&file, configuration.to_string())
            .with_context(|| format!("cannot write {}", file.display()))?;
        file.into_os_string().into_string().ok().context("the project's path is not UTF-8")
    }
}

/// Where a client connects to.
fn on_localhost(port: u16) -> String {
    format!("localhost:{port}")
}

/// The running shop. [`Shop::stop`] stops it in order.
#[derive(Debug)]
pub struct Shop {
    processes: Vec<Process>,
    notifier_log: PathBuf,
}

impl Shop {
    /// Starts everything. If anything fails, or the future is dropped, everything that was started
    /// is stopped again.
    pub async fn start(ports: &ShopPorts, folders: &Folders) -> Result<Self> {
        require_all_free(ports.servers.list().into_iter().chain(ports.list()))?;
        let configuration = ports.write_swagger_configuration(folders)?;
        let services = [ports.cart(), ports.loms(), ports.notifier()];
        let targets = services.each_ref().map(|service| (service.name, on_localhost(service.port)));
        let name = format!("Prometheus (localhost:{})", ports.prometheus);
        let (servers, prometheus) = tokio::try_join!(
            Box::pin(servers::start(ports.servers, folders, false)),
            step(&name, prometheus::start(ports.prometheus, &targets, folders)),
        )?;
        let mut shop = Self { processes: servers, notifier_log: folders.log("notifier") };
        shop.processes.push(prometheus);
        let [cart, loms, notifier] = &services;
        let (products, swagger) = (ports.products(), ports.swagger(&configuration));
        let (products, loms, cart, notifier, swagger) = tokio::try_join!(
            started(&products, folders),
            started(loms, folders),
            started(cart, folders),
            started(notifier, folders),
            started(&swagger, folders),
        )?;
        shop.processes.extend([products, loms, cart, notifier, swagger]);
        Ok(shop)
    }

    /// The file into which the notifier writes its notifications.
    pub fn notifier_log(&self) -> PathBuf {
        self.notifier_log.clone()
    }

    /// Restarts what ends. Returns an error if a process keeps failing.
    pub async fn keep_running(&mut self) -> Error {
        keep_running(&mut self.processes).await
    }

    /// Stops everything: first the services, each with time to finish its work, then the servers.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        stop_in_reverse(std::mem::take(&mut self.processes));
    }
}

/// Starts only the servers and the product stand-in, with the data of earlier runs. Restarts what
/// ends, and stops everything when a signal arrives.
///
/// # Errors
/// If a port is taken, or a server cannot be started or keeps failing.
pub async fn run_servers(interruption: &mut Interruption) -> Result<u8> {
    let folders = Folders::of_the_project()?;
    let ports = ShopPorts::from_env()?;
    let products = ("the product stand-in", "SHOP_PRODUCTS_PORT", ports.products);
    require_all_free(ports.servers.list().into_iter().chain([products]))?;
    headline("Starting the servers");
    let products = ports.products();
    let start = async {
        let servers = Box::pin(servers::start(ports.servers, &folders, false));
        tokio::try_join!(servers, started(&products, &folders))
    };
    let (servers, products) = tokio::select! {
        started = start => started?,
        _ = interruption.next() => return Ok(0),
    };
    println!(
        "\nThe servers are running. The default settings of cart, loms and notifier fit them."
    );
    println!("A server that ends is restarted. Ctrl-C stops everything and keeps the data.");
    let mut shop = Shop { processes: servers, notifier_log: folders.log("notifier") };
    shop.processes.push(products);
    tokio::select! {
        failure = shop.keep_running() => return Err(failure),
        _ = interruption.next() => {}
    }
    println!("\nStopping");
    shop.stop();
    println!("Everything has stopped. The data are kept in {}.", folders.base().display());
    Ok(0)
}

async fn started(service: &Service, folders: &Folders) -> Result<Process> {
    step(&format!("{} (localhost:{})", service.name, service.port), service.start(folders)).await
}
