//! The certificate of a listener. It is replaced while the process runs when its files change.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig};

use super::client::certified;
use super::pem::parse_certificates;
use crate::settings::Reader;

const CERTIFICATE: &str = "TLS_CERT_FILE";
const KEY: &str = "TLS_KEY_FILE";
const CLIENT_CA: &str = "TLS_CLIENT_CA_FILE";

/// How often the files are looked at, at most. They are looked at only when a client connects.
const CHECK_PERIOD: Duration = Duration::from_secs(1);

/// The PEM files of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// The listener's certificate, followed by those of intermediate authorities.
    pub certificate: PathBuf,
    /// The key of the certificate.
    pub key: PathBuf,
    /// The authorities of client certificates. If set, each client must have one.
    pub client_ca: Option<PathBuf>,
}

impl ListenerTls {
    /// Reads `TLS_CERT_FILE`, `TLS_KEY_FILE` and `TLS_CLIENT_CA_FILE`. `None` if none is set.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let [certificate, key, client_ca] =
            [CERTIFICATE, KEY, CLIENT_CA].map(|name| PathBuf::from(reader.text(name, "")));
        let [has_certificate, has_key, has_client_ca] =
            [&certificate, &key, &client_ca].map(|path| !path.as_os_str().is_empty());
        if !has_certificate && !has_key && !has_client_ca {
            return None;
        }
        for (name, is_set) in [(CERTIFICATE, has_certificate), (KEY, has_key)] {
            if !is_set {
                reader.reject(name, "a PEM file, because another TLS_*_FILE is set");
            }
        }
        let files = Self { certificate, key, client_ca: has_client_ca.then_some(client_ca) };
        if has_certificate
            && has_key
            && let Err(FileError { name, reason }) = files.config(b"")
        {
            reader.reject(name, reason);
        }
        Some(files)
    }

    /// Reads the files. The configuration allows only the application protocol `protocol`.
    fn config(&self, protocol: &[u8]) -> Result<Arc<ServerConfig>, FileError> {
        let read = |name: &'static str, path: &PathBuf| {
            fs::read(path).map_err(|error| FileError {
                name,
                reason: format!("a readable PEM file ({error})"),
            })
        };
        let wrong = |name, expected: &str, reason: String| FileError {
            name,
            reason: format!("{expected} ({reason})"),
        };
        let (certificates, key) = (read(CERTIFICATE, &self.certificate)?, read(KEY, &self.key)?);
        parse_certificates(&certificates)
            .map_err(|reason| wrong(CERTIFICATE, "a PEM file with certificates", reason))?;
        let certified = certified(&certificates, &key).map_err(|reason| {
            wrong(KEY, "a PEM file with the key of the certificate in TLS_CERT_FILE", reason)
        })?;
        let of_clients = |reason: String| {
            wrong(CLIENT_CA, "a PEM file with certificates of authorities", reason)
        };
        let provider = Arc::new(provider());
        let verifier = match &self.client_ca {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for root in parse_certificates(&read(CLIENT_CA, path)?).map_err(of_clients)? {
                    roots.add(root).map_err(|error| of_clients(error.to_string()))?;
                }
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()
                    .map_err(|error| of_clients(error.to_string()))?
            }
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(CERTIFICATE, "a usable certificate", error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(Arc::new(config))
    }

    /// Changes whenever a file changes or is replaced.
    fn stamp(&self) -> Vec<Stamp> {
        let files = [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()];
        let stamp = |path: &PathBuf| {
            let file = fs::metadata(path).ok()?;
            Some((file.modified().ok()?, file.len(), file.ino()))
        };
        files.into_iter().flatten().map(stamp).collect()
    }
}

/// When a file was modified, its length and its inode. `None` if it cannot be looked at.
type Stamp = Option<(SystemTime, u64, u64)>;

/// A file that cannot be used: the name of its setting, and what was expected.
struct FileError {
    name: &'static str,
    reason: String,
}

/// The current certificate of one listener.
pub(crate) struct Acceptor {
    files: ListenerTls,
    protocol: &'static [u8],
    current: Mutex<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    stamp: Vec<Stamp>,
    checked: Instant,
    /// The files that were reported as unusable.
    reported: Option<Vec<Stamp>>,
}

impl Acceptor {
    /// Reads the files for a listener that speaks `protocol` (its name in ALPN).
    ///
    /// # Errors
    /// A file cannot be used. The message names its setting.
    pub(crate) fn new(files: &ListenerTls, protocol: &'static [u8]) -> io::Result<Self> {
        let stamp = files.stamp();
        let config = files.config(protocol).map_err(|FileError { name, reason }| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{name}: expected {reason}"))
        })?;
        let current =
            Mutex::new(Current { config, stamp, checked: Instant::now(), reported: None });
        Ok(Self { files: files.clone(), protocol, current })
    }

    /// The configuration for the next connection. Reads the files again if they have changed. If
    /// they cannot be used, the previous certificate stays.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.checked.elapsed() >= CHECK_PERIOD {
            current.checked = Instant::now();
            // Before the files are read: if they change meanwhile, they are read again.
            let stamp = self.files.stamp();
            if stamp != current.stamp {
                match self.files.config(self.protocol) {
                    Ok(config) => {
                        (current.config, current.stamp) = (config, stamp);
                        let file = self.files.certificate.display();
                        tracing::info!(%file, "TLS certificate reloaded");
                    }
                    // Tried again, because reading may have failed for a reason that passes.
                    Err(error) if current.reported.as_ref() != Some(&stamp) => {
                        current.reported = Some(stamp);
                        tracing::warn!(
                            setting = error.name,
                            expected = error.reason,
                            "TLS files have changed and cannot be used, keeping the previous certificate"
                        );
                    }
                    Err(_) => {}
                }
            }
        }
        Arc::clone(&current.config)
    }
}

pub(super) fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}
