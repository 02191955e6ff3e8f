//! What a client trusts, and how it identifies itself.

use std::time::Duration;

use rustls::sign::CertifiedKey;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::listener::provider;
use super::pem::{PemFile, parse_certificates, parse_key};
use crate::settings::Reader;

/// How a client checks its server, and how it identifies itself to a server that asks for that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// The certificate authorities to trust. The system's if `None`.
    pub ca: Option<PemFile>,
    /// The client's certificates, its own first, and their key.
    pub identity: Option<(PemFile, PemFile)>,
}

impl ClientTls {
    /// Reads `<prefix>_CA_FILE`, `<prefix>_CLIENT_CERT_FILE` and `<prefix>_CLIENT_KEY_FILE`.
    pub fn read(reader: &mut Reader, prefix: &str) -> Self {
        let name = |part: &str| format!("{prefix}_{part}_FILE");
        Self::from_files(reader, &name("CA"), &name("CLIENT_CERT"), &name("CLIENT_KEY"))
    }

    /// Reads the settings with these names.
    pub fn from_files(reader: &mut Reader, ca: &str, certificate: &str, key: &str) -> Self {
        let ca = PemFile::certificates(reader, ca);
        for (one, other) in [(certificate, key), (key, certificate)] {
            if reader.is_set(one) && !reader.is_set(other) {
                reader.reject(other, format!("a PEM file, because {one} is set"));
            }
        }
        let files = (PemFile::certificates(reader, certificate), PemFile::key(reader, key));
        let identity = match files {
            (Some(certificates), Some(private)) => {
                if let Err(reason) = certified(certificates.bytes(), private.bytes()) {
                    let expected = format!("the key of the certificate in {certificate}");
                    reader.reject(key, format!("{expected} ({reason})"));
                }
                Some((certificates, private))
            }
            _ => None,
        };
        Self { ca, identity }
    }

    /// Whether any file is set.
    pub fn is_set(&self) -> bool {
        self.ca.is_some() || self.identity.is_some()
    }

    /// The same for a client of gRPC, whose handshake may take `timeout`.
    pub(crate) fn for_grpc(&self, timeout: Duration) -> ClientTlsConfig {
        let config = ClientTlsConfig::new().timeout(timeout);
        let config = match &self.ca {
            Some(ca) => config.ca_certificate(Certificate::from_pem(ca.bytes())),
            None => config.with_native_roots(),
        };
        match &self.identity {
            Some((certificates, key)) => {
                config.identity(Identity::from_pem(certificates.bytes(), key.bytes()))
            }
            None => config,
        }
    }
}

/// A certificate together with its key. Fails if they do not belong together.
pub(super) fn certified(certificates: &[u8], key: &[u8]) -> Result<CertifiedKey, String> {
    let (certificates, key) = (parse_certificates(certificates)?, parse_key(key)?);
    CertifiedKey::from_der(certificates, key, &provider()).map_err(|error| error.to_string())
}
