//! The three services together, on the servers of the test run.

use std::ops::Deref;

use dev::testing::{ProductStandIn, Servers, ServiceProcess};
use tokio::sync::OnceCell;

use super::{Cart, Env, Loms, Notifier};

/// Settings besides those that the services require.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub cart: Env,
    pub loms: Env,
    pub notifier: Env,
}

impl Settings {
    /// The same settings for each service.
    pub fn of_all(more: &Env) -> Self {
        Self { cart: more.clone(), loms: more.clone(), notifier: more.clone() }
    }
}

/// A running shop.
#[derive(Debug)]
pub struct Shop {
    pub loms: Loms,
    pub cart: Cart,
    pub notifier: Notifier,
    _products: ProductStandIn,
}

impl Shop {
    /// Starts a private shop.
    pub async fn start(servers: &Servers, more: Settings) -> Self {
        let products = ProductStandIn::start().unwrap();
        let loms = Loms::start(servers, more.loms).await;
        let (cart, notifier) = tokio::join!(
            Cart::start(servers, loms.grpc_port, products.base_url(), more.cart),
            Notifier::start(servers, &loms.topic.name, more.notifier),
        );
        Self { loms, cart, notifier, _products: products }
    }

    /// The shop that the tests share. It runs until the test process ends, and its servers until
    /// the test run ends.
    pub async fn shared() -> SharedShop {
        static SHOP: OnceCell<Shop> = OnceCell::const_new();
        let start = async || Shop::start(&Servers::from_env(), Settings::default()).await;
        SharedShop(SHOP.get_or_init(start).await)
    }
}

/// One test's view of the shared shop. If the test fails, it prints the ends of the logs.
#[derive(Debug)]
pub struct SharedShop(&'static Shop);

impl Deref for SharedShop {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        self.0
    }
}

impl Drop for SharedShop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show_log("loms", &self.0.loms.process);
            show_log("cart", &self.0.cart.process);
            show_log("notifier", &self.0.notifier.process);
        }
    }
}

fn show_log(name: &str, service: &ServiceProcess) {
    let log = service.log();
    let lines: Vec<&str> = log.lines().collect();
    let end = lines[lines.len().saturating_sub(15)..].join("\n    ");
    eprintln!("the end of the log of {name}:\n    {end}");
}
