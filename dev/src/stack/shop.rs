//! The whole shop on its default ports: the servers, the product stand-in, the three services,
//! their Swagger UI, and Prometheus.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::folders::Folders;
use super::ports::require_free;
use super::process::{Process, describe};
use super::report::step;
use super::servers::{self, ServerPorts};
use super::service::Service;
use super::{prometheus, stop_in_reverse};

/// The port of cart's REST interface.
pub const CART_PORT: u16 = 8082;
/// The port of loms' REST gateway.
pub const LOMS_PORT: u16 = 8081;
/// The port of loms' gRPC interface.
pub const LOMS_GRPC_PORT: u16 = 50051;
/// The port of the notifier's metrics and health checks.
pub const NOTIFIER_PORT: u16 = 8083;
/// The port of the product stand-in.
pub const PRODUCTS_PORT: u16 = 8090;
/// The port of the Swagger UI page for all services.
pub const SWAGGER_PORT: u16 = 8089;
/// The port of Prometheus.
pub const PROMETHEUS_PORT: u16 = 9090;

const PRODUCTS: Service = Service { name: "product-stand-in", port: PRODUCTS_PORT };
const LOMS: Service = Service { name: "loms", port: LOMS_PORT };
const CART: Service = Service { name: "cart", port: CART_PORT };
const SWAGGER: Service = Service { name: "swagger-page", port: SWAGGER_PORT };
const NOTIFIER: Service = Service { name: "notifier", port: NOTIFIER_PORT };

/// The running shop. [`Shop::stop`] stops it in order.
#[derive(Debug)]
pub struct Shop {
    processes: Vec<Process>,
    notifier_log: PathBuf,
}

impl Shop {
    /// Starts everything. If anything fails, or the future is dropped, everything that was started
    /// is stopped again.
    pub async fn start(folders: &Folders) -> Result<Self> {
        ServerPorts::DEFAULT.require_free()?;
        for service in [PRODUCTS, LOMS, CART, NOTIFIER, SWAGGER] {
            require_free(service.name, service.port)?;
        }
        require_free("loms (gRPC)", LOMS_GRPC_PORT)?;
        require_free("Prometheus", PROMETHEUS_PORT)?;

        let targets =
            [CART, LOMS, NOTIFIER].map(|service| (service.name, format!("localhost:{}", service.port)));
        let (servers, prometheus) = tokio::try_join!(
            Box::pin(servers::start(ServerPorts::DEFAULT, folders, false)),
            step("Prometheus (localhost:9090)", prometheus::start(PROMETHEUS_PORT, &targets, folders)),
        )?;
        let mut shop = Self { processes: servers, notifier_log: folders.log(NOTIFIER.name) };
        shop.processes.push(prometheus);
        let (products, loms, cart, notifier, swagger) = tokio::try_join!(
            started(PRODUCTS, folders),
            started(LOMS, folders),
            started(CART, folders),
            started(NOTIFIER, folders),
            started(SWAGGER, folders),
        )?;
        shop.processes.extend([products, loms, cart, notifier, swagger]);
        Ok(shop)
    }

    /// The file into which the notifier writes its notifications.
    pub fn notifier_log(&self) -> PathBuf {
        self.notifier_log.clone()
    }

    /// Waits until one of the processes ends, which none of them should. Returns an error that
    /// names it and shows the end of its log.
    pub async fn until_something_ends(&mut self) -> anyhow::Error {
        loop {
            for process in &mut self.processes {
                match process.exit_status() {
                    Ok(None) => {}
                    Ok(Some(status)) => {
                        return process.failure(&format!("ended by itself ({})", describe(status)));
                    }
                    Err(error) => return error,
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
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

async fn started(service: Service, folders: &Folders) -> Result<Process> {
    step(&format!("{} (localhost:{})", service.name, service.port), service.start(folders)).await
}
