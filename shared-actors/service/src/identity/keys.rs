//! The public keys of the issuer, as a JSON Web Key Set (RFC 7517).

use std::iter::successors;
use std::path::Path;
use std::time::Duration;

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::{Certificate, Client, redirect};

use super::settings::KeySource;

/// The largest key set, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// The maximum number of keys. Further ones are not used.
const MAX_KEYS: usize = 64;
const TIMEOUT: Duration = Duration::from_secs(2);

/// The keys that can be used. There may be none: an issuer can withdraw all.
pub(super) struct Keys(Vec<Key>);

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    public: DecodingKey,
}

impl Keys {
    /// Parses a key set. Keys of other kinds, or for encryption, are left out. Above all, no
    /// symmetric key may be used: anyone who can check its tokens can forge them.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let set: JwkSet = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        Ok(Self(set.keys.iter().filter_map(Key::of).take(MAX_KEYS).collect()))
    }

    /// Reads a key set from a file.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
        if bytes > MAX_BYTES as u64 {
            return Err(format!("it is larger than {MAX_BYTES} bytes"));
        }
        Self::parse(&std::fs::read(path).map_err(|error| error.to_string())?)
    }

    /// The key with this id. A token without an id needs a key that is the only one for its
    /// algorithm.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut found = self
            .0
            .iter()
            .filter(|key| key.algorithm == algorithm && (id.is_none() || key.id.as_deref() == id));
        let first = found.next()?;
        (id.is_some() || found.next().is_none()).then_some(&first.public)
    }
}

impl Key {
    fn of(jwk: &Jwk) -> Option<Self> {
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let operations = jwk.common.key_operations.as_ref();
        if operations.is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
            return None;
        }
        let (algorithm, name) = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                (Algorithm::ES256, KeyAlgorithm::ES256)
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
            }
            _ => return None,
        };
        if jwk.common.key_algorithm.is_some_and(|algorithm| algorithm != name) {
            return None;
        }
        let public = DecodingKey::from_jwk(jwk).ok()?;
        Some(Self { id: jwk.common.key_id.clone(), algorithm, public })
    }
}

/// Reads a key set from its source.
pub(super) struct Loader {
    source: KeySource,
    client: Option<Client>,
}

impl Loader {
    pub(super) fn new(source: KeySource) -> Result<Self, reqwest::Error> {
        let client = match &source {
            KeySource::File(_) => None,
            KeySource::Url { ca, .. } => {
                let mut builder = Client::builder()
                    .timeout(TIMEOUT)
                    .redirect(redirect::Policy::none())
                    .no_proxy()
                    // Calls come from several runtimes, and a connection belongs to one.
                    .pool_max_idle_per_host(0);
                if let Some(ca) = ca {
                    builder = builder.tls_certs_only(Certificate::from_pem_bundle(ca.bytes())?);
                }
                Some(builder.build()?)
            }
        };
        Ok(Self { source, client })
    }

    pub(super) async fn load(&self) -> Result<Keys, String> {
        match (&self.source, &self.client) {
            (KeySource::File(path), _) => Keys::read(path),
            (KeySource::Url { url, .. }, Some(client)) => {
                let mut answer = client.get(url.clone()).send().await.map_err(text)?;
                if !answer.status().is_success() {
                    return Err(format!("it answered {}", answer.status()));
                }
                let mut json = Vec::new();
                while let Some(chunk) = answer.chunk().await.map_err(text)? {
                    json.extend_from_slice(&chunk);
                    if json.len() > MAX_BYTES {
                        return Err(format!("it is larger than {MAX_BYTES} bytes"));
                    }
                }
                Keys::parse(&json)
            }
            (KeySource::Url { .. }, None) => unreachable!("a URL has a client"),
        }
    }
}

/// The error with its causes, and without the URL, which may contain a secret.
fn text(error: reqwest::Error) -> String {
    let error = error.without_url();
    let causes = successors(std::error::Error::source(&error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuzz_key_set() {
        bolero::check!().for_each(|json: &[u8]| {
            let Ok(keys) = Keys::parse(json) else { return };
            assert!(keys.0.len() <= MAX_KEYS);
            for key in &keys.0 {
                assert!(keys.find(key.id.as_deref(), key.algorithm).is_some() || key.id.is_none());
            }
        });
    }
}
