//! The settings that the service reads from its environment.

use std::time::Duration;

use reqwest::Url;
use service_kit::database::Migrations;
use service_kit::http::HttpServerSettings;
use service_kit::identity::{IdentitySettings, TokenFile};
use service_kit::process;
use service_kit::settings::{HostPort, Reader, SettingsError, ShardDefaults, ShardSettings};
use service_kit::tls::{ClientTls, PemFile};

use crate::checkout::SweepSettings;
use crate::loms::LomsSettings;
use crate::products::{ProductServiceSettings, RedisSettings, RedisTls};

const REDIS_PORT: u16 = 6379;
const PRODUCT_SERVICE: &str = "http://localhost:8090";
const SHARDS: ShardDefaults = ShardDefaults {
    primaries: &["localhost:5432", "localhost:5434"],
    replicas: &[],
    name: "cart",
    prefix: "",
};
/// The databases of loms, which `cart verify` reads.
const LOMS_SHARDS: ShardDefaults = ShardDefaults { name: "loms", prefix: "LOMS_", ..SHARDS };

/// All settings; the defaults fit the local stack.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The REST front-end.
    pub http: HttpServerSettings,
    /// Which tokens callers need (`JWT_*`). Without it, everybody may call.
    pub identity: Option<IdentitySettings>,
    /// The databases of carts, in shard order.
    pub shards: Vec<ShardSettings>,
    /// The databases of orders in loms, in shard order. Only `cart verify` reads them.
    pub loms_shards: Vec<ShardSettings>,
    /// Whether this process migrates the databases or waits for another one to do so.
    pub migrations: Migrations,
    /// The maximum number of connections to each database.
    pub database_connections: u32,
    /// The client of loms.
    pub loms: LomsSettings,
    /// The client of the product service.
    pub products: ProductServiceSettings,
    /// The maximum number of SKUs in this process' memory.
    pub cache_capacity: u64,
    /// How long a product may be used after it became stale, while the product service gives no
    /// answer.
    pub product_stale_ttl: Duration,
    /// The Redis cache.
    pub redis: RedisSettings,
    /// How long the answer to a request with a key is stored.
    pub idempotency_ttl: Duration,
    /// The timing of the checkout sweeper.
    pub sweep: SweepSettings,
    /// The number of threads for actors. With 0, the actors run on the main thread.
    pub arbiters: usize,
    /// How long a thread may hang before the process exits (`THREAD_TIMEOUT`).
    pub thread_timeout: Duration,
    /// The maximum number of requests in progress, and of commands to all carts that are queued or
    /// running.
    pub capacity: usize,
    /// The same for one cart.
    pub capacity_per_cart: usize,
    /// The maximum number of cart actors in memory.
    pub max_live: usize,
    /// How long a cart's actor stays in memory without commands.
    pub idle: Duration,
}

impl Settings {
    /// Reads all settings from `reader`.
    ///
    /// # Errors
    /// Lists every wrong setting.
    pub fn read(mut reader: Reader) -> Result<Self, SettingsError> {
        let r = &mut reader;
        let http = HttpServerSettings::read(r, "HOST_PORT", 8082);
        let settings = Self {
            identity: IdentitySettings::read(r, &[("HOST_PORT", http.address)]),
            http,
            shards: ShardSettings::read(r, &SHARDS),
            loms_shards: ShardSettings::read(r, &LOMS_SHARDS),
            migrations: if r.flag("MIGRATE_ON_START", true) {
                Migrations::Apply
            } else {
                Migrations::Await
            },
            database_connections: r.get_in("DATABASE_MAX_CONNECTIONS", 8, 1..=1000),
            loms: loms(r),
            products: products(r),
            cache_capacity: r.get_in("CACHE_CAPACITY", 10_000, 1..=100_000_000),
            product_stale_ttl: r.duration("PRODUCT_STALE_TTL", Duration::from_hours(1)),
            redis: redis(r),
            idempotency_ttl: r.duration("IDEMPOTENCY_TTL", Duration::from_hours(24)),
            sweep: SweepSettings {
                period: r.duration("SWEEP_INTERVAL", Duration::from_secs(1)),
                grace: r.duration("CHECKOUT_GRACE", Duration::from_secs(5)),
            },
            arbiters: r.get_in("ARBITERS", 0, 0..=1024),
            thread_timeout: process::thread_timeout(r),
            capacity: r.get_in("CART_CAPACITY", 10_000, 1..=1_000_000),
            capacity_per_cart: r.get_in("CART_CAPACITY_PER_USER", 256, 1..=1_000_000),
            max_live: r.get_in("CART_MAX_LIVE", 50_000, 1..=10_000_000),
            idle: r.duration("CART_IDLE", Duration::from_mins(5)),
        };
        reader.finish()?;
        Ok(settings)
    }
}

fn loms(reader: &mut Reader) -> LomsSettings {
    let base_url = reader.text("LOMS_BASE_URL", "http://localhost:50051");
    let url = server_url(&base_url).filter(|url| url.scheme() == "https" || names_port(&base_url));
    let tls = ClientTls::read(reader, "LOMS");
    match url {
        None => {
            let expected = "host:port, http://host:port or https://host";
            reject_url(reader, "LOMS_BASE_URL", &base_url, expected);
        }
        Some(url) if tls.is_set() && url.scheme() != "https" => {
            let expected = "https://host, because a LOMS_*_FILE is set";
            reject_url(reader, "LOMS_BASE_URL", &base_url, expected);
        }
        Some(_) => {}
    }
    let token = TokenFile::read(reader, "LOMS_TOKEN_FILE");
    LomsSettings {
        base_url,
        tls,
        token,
        timeout: reader.duration("LOMS_TIMEOUT", Duration::from_secs(3)),
    }
}

fn products(reader: &mut Reader) -> ProductServiceSettings {
    let base = reader.text("PRODUCT_SERVICE_BASE_URL", PRODUCT_SERVICE);
    let path = reader.text("PRODUCT_SERVICE_PATH", "/get_product");
    let url = server_url(&base).filter(|url| url.scheme() == "https" || names_port(&base));
    let mut url = url.unwrap_or_else(|| {
        reject_url(reader, "PRODUCT_SERVICE_BASE_URL", &base, "http://host:port or https://host");
        Url::parse(PRODUCT_SERVICE).unwrap_or_else(|_| unreachable!("a constant that is a URL"))
    });
    let ca = PemFile::certificates(reader, "PRODUCT_SERVICE_CA_FILE");
    if ca.is_some() && url.scheme() != "https" {
        let expected = "https://host, because PRODUCT_SERVICE_CA_FILE is set";
        reject_url(reader, "PRODUCT_SERVICE_BASE_URL", &base, expected);
    }
    if path.contains(['?', '#']) {
        reader.reject("PRODUCT_SERVICE_PATH", "a path without ? and #");
    }
    url.set_path(&format!("{}/{}", url.path().trim_end_matches('/'), path.trim_start_matches('/')));
    ProductServiceSettings {
        url,
        ca,
        token: reader.secret("TOKEN", "testtoken"),
        max_retries: reader.get_in("MAX_RETRIES", 3, 0..=20),
        retry_delay: reader.milliseconds("RETRY_DELAY_MS", Duration::from_millis(100)),
        requests_per_second: reader.get_in("REQUESTS_PER_SECOND", 10, 1..=100_000),
        timeout: reader.duration("PRODUCT_SERVICE_TIMEOUT", Duration::from_secs(2)),
    }
}

fn redis(reader: &mut Reader) -> RedisSettings {
    let text = reader.text("REDIS_ADDRESS", "localhost:6379");
    let (is_encrypted, address) = match text.split_once("://") {
        None => (false, text.as_str()),
        Some(("redis", address)) => (false, address),
        Some(("rediss", address)) => (true, address),
        Some(_) => (false, ""),
    };
    let address = HostPort::parse(address, REDIS_PORT).unwrap_or_else(|_| {
        reader.reject("REDIS_ADDRESS", "host:port, redis://host:port or rediss://host:port");
        HostPort { host: "localhost".to_owned(), port: REDIS_PORT }
    });
    let ca = PemFile::certificates(reader, "REDIS_CA_FILE");
    if ca.is_some() && !is_encrypted {
        reader.reject("REDIS_ADDRESS", "rediss://host:port, because REDIS_CA_FILE is set");
    }
    RedisSettings {
        address,
        tls: is_encrypted.then_some(RedisTls { ca }),
        password: reader.secret("REDIS_PASSWORD", ""),
        database: reader.get_in("REDIS_DB_INDEX", 0, 0..=1_000_000),
        ttl: reader.nanoseconds("REDIS_TTL_KEY", Duration::from_mins(5)),
        timeout: reader.duration("REDIS_TIMEOUT", Duration::from_millis(100)),
    }
}

/// Reports a wrong URL. Its value is shown only if it cannot contain a password.
fn reject_url(reader: &mut Reader, name: &str, url: &str, expected: &str) {
    if url.contains('@') {
        reader.reject_secretly(name, expected);
    } else {
        reader.reject(name, expected);
    }
}

/// Parses the URL of a server; the scheme may be omitted.
fn server_url(text: &str) -> Option<Url> {
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Whether the URL of a server names its port.
fn names_port(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    HostPort::parse(authority, 0).is_ok_and(|address| address.port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(Reader::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn the_defaults_fit_the_local_stack() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.http.address.to_string(), "127.0.0.1:8082");
        assert_eq!(settings.shards.len(), 2);
        assert_eq!(settings.products.url.as_str(), "http://localhost:8090/get_product");
        assert_eq!(settings.redis.ttl, Duration::from_mins(5));
    }

    #[test]
    fn the_original_names_and_units_are_read() {
        let settings = read(&[
            ("HOST_PORT", ":9000"),
            ("ALLOW_UNAUTHENTICATED", "true"),
            ("LOMS_BASE_URL", "loms:50051"),
            ("PRODUCT_SERVICE_BASE_URL", "https://products.example/"),
            ("PRODUCT_SERVICE_PATH", "v2/get"),
            ("RETRY_DELAY_MS", "250"),
            ("REDIS_TTL_KEY", "60_000_000_000 ### a minute"),
            ("REDIS_ADDRESS", "redis:6380"),
        ]);
        let settings = settings.unwrap();
        assert_eq!(settings.products.url.as_str(), "https://products.example/v2/get");
        assert_eq!(settings.products.retry_delay, Duration::from_millis(250));
        assert_eq!(settings.redis.ttl, Duration::from_mins(1));
        assert_eq!(settings.redis.address.to_string(), "redis:6380");
        assert_eq!(settings.loms.base_url, "loms:50051");
    }

    #[test]
    fn every_wrong_setting_is_named() {
        let wrong = [
            ("LOMS_BASE_URL", "ftp://loms"),
            ("PRODUCT_SERVICE_BASE_URL", "http://"),
            ("PRODUCT_SERVICE_PATH", "/get?x=1"),
            ("REDIS_ADDRESS", "redis:0"),
            ("REQUESTS_PER_SECOND", "0"),
            ("IDEMPOTENCY_TTL", "24"),
        ];
        let error = read(&wrong).unwrap_err();
        for (name, _) in wrong {
            assert!(error.problems.iter().any(|problem| problem.name == name), "{name}: {error}");
        }
        assert_eq!(error.problems.len(), wrong.len(), "{error}");
    }

    #[test]
    fn a_url_without_a_port_is_refused_unless_its_scheme_has_one() {
        let loms = ["loms", "http://loms", "http://loms/"].map(|url| ("LOMS_BASE_URL", url));
        let products =
            ["products", "http://products/v1"].map(|url| ("PRODUCT_SERVICE_BASE_URL", url));
        for (name, url) in loms.into_iter().chain(products) {
            let error = read(&[(name, url)]).unwrap_err();
            assert!(error.to_string().contains("host:port"), "{name}={url}: {error}");
        }
        for url in ["http://[::1]:80/v1", "http://user:secret@products:8090"] {
            read(&[("PRODUCT_SERVICE_BASE_URL", url)]).unwrap();
        }
    }

    #[test]
    fn tls_is_used_where_its_scheme_or_a_file_asks_for_it_or_nothing_starts() {
        read(&[("LOMS_BASE_URL", "https://loms:50051")]).unwrap();
        assert!(read(&[("REDIS_ADDRESS", "rediss://redis:6380")]).unwrap().redis.tls.is_some());
        assert!(read(&[("REDIS_ADDRESS", "redis://redis:6380")]).unwrap().redis.tls.is_none());
        let authority = dev::testing::Authority::new();
        let ca = authority.file();
        let ca = ca.to_str().unwrap();
        for (file, url) in [
            ("LOMS_CA_FILE", "LOMS_BASE_URL"),
            ("PRODUCT_SERVICE_CA_FILE", "PRODUCT_SERVICE_BASE_URL"),
            ("REDIS_CA_FILE", "REDIS_ADDRESS"),
            ("DATABASE_CA_FILE", "DATABASE_TLS"),
        ] {
            let error = read(&[(file, ca)]).unwrap_err();
            assert_eq!(error.problems[0].name, url, "{file}: {error}");
            assert!(error.to_string().contains("_FILE is set"), "{file}: {error}");
            let error = read(&[(file, "/nowhere.pem")]).unwrap_err();
            assert_eq!(error.problems[0].name, file, "{error}");
        }
    }

    #[test]
    fn a_refused_url_does_not_show_its_password() {
        for name in ["LOMS_BASE_URL", "PRODUCT_SERVICE_BASE_URL"] {
            let error = read(&[(name, "ftp://user:secret@host")]).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
