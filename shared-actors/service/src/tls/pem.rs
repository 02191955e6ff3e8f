//! Files with certificates and keys. They are read together with the settings, so that a wrong
//! file is reported like any other wrong setting.

use std::fmt;
use std::path::PathBuf;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::settings::Reader;

/// The content of a PEM file.
#[derive(Clone, PartialEq, Eq)]
pub struct PemFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// The content may be a private key.
impl fmt::Debug for PemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.path, f)
    }
}

impl PemFile {
    /// Reads the file that the setting `name` names, which must contain certificates. `None` if
    /// the setting is not set, or is wrong and was reported.
    pub fn certificates(reader: &mut Reader, name: &str) -> Option<Self> {
        Self::read(reader, name, "certificates", |bytes| parse_certificates(bytes).is_ok())
    }

    /// Like [`Self::certificates`], for one private key.
    pub fn key(reader: &mut Reader, name: &str) -> Option<Self> {
        Self::read(reader, name, "a private key", |bytes| parse_key(bytes).is_ok())
    }

    fn read(
        reader: &mut Reader,
        name: &str,
        content: &str,
        is_right: impl FnOnce(&[u8]) -> bool,
    ) -> Option<Self> {
        let path = PathBuf::from(reader.text(name, ""));
        if path.as_os_str().is_empty() {
            return None;
        }
        match std::fs::read(&path) {
            Ok(bytes) if is_right(&bytes) => return Some(Self { path, bytes }),
            Ok(_) => reader.reject(name, format!("a PEM file with {content}")),
            Err(error) => {
                reader.reject(name, format!("a readable PEM file with {content} ({error})"));
            }
        }
        None
    }

    /// The whole content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// At least one certificate.
pub(super) fn parse_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err("no certificate in PEM".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn parse_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| error.to_string())
}
