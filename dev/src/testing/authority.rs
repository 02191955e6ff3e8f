//! A certificate authority for one test.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;
use uuid::Uuid;

const LOCALHOST: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// An authority that signs certificates for localhost. Its files are removed with this value.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// The PEM files of a certificate. They stay until their authority is dropped.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate.
    pub file: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// An authority that nobody trusts yet.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // A client takes two authorities of one name for the same, and reports a wrong signature.
        let name = format!("an authority of a test, {}", Uuid::new_v4());
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder for certificates");
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("a file");
        Self { issuer, folder }
    }

    /// The PEM file with the authority's own certificate, for those who trust it.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Signs a certificate for a server on localhost, which may also identify a client. Its files
    /// begin with `name`; those of an earlier certificate with this name are replaced.
    pub fn sign(&self, name: &str) -> Certificate {
        self.sign_for(name, &LOCALHOST)
    }

    /// The same for other hosts.
    pub fn sign_for(&self, name: &str, hosts: &[&str]) -> Certificate {
        self.certificate(name, params(hosts))
    }

    /// A certificate for localhost that has expired.
    pub fn sign_expired(&self, name: &str) -> Certificate {
        let mut params = params(&LOCALHOST);
        (params.not_before, params.not_after) =
            (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1));
        self.certificate(name, params)
    }

    fn certificate(&self, name: &str, mut params: CertificateParams) -> Certificate {
        // OpenSSL takes a certificate with the name of its authority for a self-signed one.
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let path = |end: &str| self.folder.path().join(format!("{name}{end}"));
        let files = Certificate { file: path(".pem"), key: path(".key") };
        std::fs::write(&files.file, certificate.pem()).expect("a file");
        std::fs::write(&files.key, key.serialize_pem()).expect("a file");
        files
    }
}

fn params(hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    CertificateParams::new(hosts).expect("names of hosts")
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
