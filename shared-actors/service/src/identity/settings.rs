//! Which tokens are accepted.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::keys::Keys;
use crate::settings::{ListenAddress, Reader};
use crate::tls::PemFile;

const FILE: &str = "JWT_JWKS_FILE";
const URL: &str = "JWT_JWKS_URL";
const LONGEST_SKEW: Duration = Duration::from_mins(5);

/// Which tokens are accepted: signed by one of the keys, issued by `issuer` for `audience`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentitySettings {
    /// Where the keys are.
    pub keys: KeySource,
    /// The claim `iss` that a token must have.
    pub issuer: String,
    /// The claim `aud` that a token must have, perhaps among others.
    pub audience: String,
    /// How much the clocks of issuer and service may differ.
    pub clock_skew: Duration,
}

/// A JSON Web Key Set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In a file.
    File(PathBuf),
    /// At a URL. `ca` has the certificate authorities to trust; the system's if `None`.
    Url {
        /// The URL.
        url: Url,
        /// The authorities.
        ca: Option<PemFile>,
    },
}

impl IdentitySettings {
    /// Reads `JWT_JWKS_FILE`, `JWT_JWKS_URL`, `JWT_CA_FILE`, `JWT_ISSUER`, `JWT_AUDIENCE` and
    /// `JWT_CLOCK_SKEW`. `None` if neither file nor URL is set. Other machines can then call
    /// without a token, so each of the `listeners` (the name of its setting, and its address) must
    /// be on loopback, or `ALLOW_UNAUTHENTICATED` must be true.
    pub fn read(reader: &mut Reader, listeners: &[(&str, ListenAddress)]) -> Option<Self> {
        let identity = Self::read_tokens(reader);
        if identity.is_none() && reader.is_set("RATE_LIMIT_PER_USER") {
            let expected = "no value, because users are only known by tokens (JWT_JWKS_URL)";
            reader.reject("RATE_LIMIT_PER_USER", expected);
        }
        let is_allowed = reader.flag("ALLOW_UNAUTHENTICATED", false);
        for (name, _) in listeners.iter().filter(|(_, address)| !address.is_loopback()) {
            if identity.is_none() && !is_allowed {
                let expected = "a loopback address such as 127.0.0.1:8080, because callers need no token; \
                                or set JWT_JWKS_URL, or ALLOW_UNAUTHENTICATED=true if only trusted clients can connect";
                reader.reject(name, expected);
            }
        }
        identity
    }

    fn read_tokens(reader: &mut Reader) -> Option<Self> {
        let (file, url) = (reader.text(FILE, ""), reader.text(URL, ""));
        let ca = PemFile::certificates(reader, "JWT_CA_FILE");
        if ca.is_some() && url.is_empty() {
            reader.reject(URL, "an https:// URL, because JWT_CA_FILE is set");
        }
        let (issuer, audience) = (reader.text("JWT_ISSUER", ""), reader.text("JWT_AUDIENCE", ""));
        let clock_skew = reader.duration("JWT_CLOCK_SKEW", Duration::from_secs(30));
        if clock_skew > LONGEST_SKEW {
            reader.reject("JWT_CLOCK_SKEW", "a duration of at most 5m");
        }
        let keys = match (file.as_str(), url.as_str()) {
            ("", "") => {
                let others = [("JWT_ISSUER", &issuer), ("JWT_AUDIENCE", &audience)];
                if let Some((name, _)) = others.iter().find(|(_, value)| !value.is_empty()) {
                    reader.reject(URL, format!("a URL, because {name} is set"));
                }
                return None;
            }
            (file, "") => {
                if let Err(reason) = Keys::read(file.as_ref()) {
                    reader.reject(FILE, format!("a file with a JSON Web Key Set ({reason})"));
                }
                KeySource::File(file.into())
            }
            ("", text) => match Url::parse(text) {
                Ok(url) if is_right(&url, ca.is_some()) => KeySource::Url { url, ca },
                _ => {
                    reader.reject_secretly(URL, "a URL that begins with https:// or http://");
                    return None;
                }
            },
            _ => {
                reader.reject(FILE, format!("no value, because {URL} is set"));
                return None;
            }
        };
        for (name, value) in [("JWT_ISSUER", &issuer), ("JWT_AUDIENCE", &audience)] {
            if value.is_empty() {
                reader.reject(name, "a text, because keys for tokens are set");
            }
        }
        Some(Self { keys, issuer, audience, clock_skew })
    }
}

fn is_right(url: &Url, has_ca: bool) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && !has_ca)
}
