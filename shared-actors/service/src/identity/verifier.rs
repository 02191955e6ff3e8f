//! Checks tokens.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, TokenData, Validation, decode, decode_header};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::accepted::Accepted;
use super::keys::{Keys, Loader};
use super::{AuthError, Caller, IdentitySettings};

/// The age at which the keys are read again, while the known ones stay in use.
const REFRESH_AFTER: Duration = Duration::from_mins(5);
/// If the last attempt to read them is older than this, they are read again first. Nobody has called
/// for some time, so a key may have been withdrawn long ago.
const DISTRUST_AFTER: Duration = Duration::from_mins(10);
/// The shortest time between two attempts. A token with an unknown key asks for one.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// The longest value of the header, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
const UNKNOWN_KEY: &str = "signed by an unknown key";

/// Checks the tokens of callers. Cheap to clone.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    settings: IdentitySettings,
    loader: Loader,
    /// The keys, and when they were read. `None` until they have been read once.
    keys: RwLock<Option<(Arc<Keys>, Instant)>>,
    attempts: watch::Sender<Attempts>,
    accepted: Accepted,
}

/// The attempts to read the keys.
#[derive(Clone, Copy, Default)]
struct Attempts {
    is_running: bool,
    /// When the last one ended.
    ended: Option<Instant>,
}

/// An attempt that is running until this is dropped.
struct Attempt(Verifier);

impl Drop for Attempt {
    fn drop(&mut self) {
        let ended = Attempts { is_running: false, ended: Some(Instant::now()) };
        self.0.0.attempts.send_replace(ended);
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: f64,
    /// Space-separated, as in RFC 8693.
    #[serde(default)]
    scope: String,
}

impl Verifier {
    /// A verifier that loads the keys when the first token comes.
    ///
    /// # Errors
    /// The certificate authorities cannot be used.
    pub fn new(settings: &IdentitySettings) -> Result<Self, reqwest::Error> {
        Ok(Self(Arc::new(Inner {
            settings: settings.clone(),
            loader: Loader::new(settings.keys.clone())?,
            keys: RwLock::default(),
            attempts: watch::Sender::default(),
            accepted: Accepted::new(),
        })))
    }

    /// Checks the values of the header `Authorization`, of which there must be one. Reads the keys
    /// again if they are old, or if the token was signed by an unknown one. If their source gives no
    /// answer, the previous keys stay in use.
    ///
    /// # Errors
    /// `NoToken`, `InvalidToken`, `NoKeys`.
    pub async fn verify_one<'a>(
        &self,
        authorizations: &mut impl Iterator<Item = &'a [u8]>,
    ) -> Result<Caller, AuthError> {
        let token = match (authorizations.next(), authorizations.next()) {
            (None, _) => return Err(AuthError::NoToken),
            (Some(authorization), None) => bearer(authorization)?,
            (Some(_), Some(_)) => return Err(AuthError::InvalidToken("given more than once")),
        };
        match self.known() {
            Some((_, read)) if read.elapsed() < REFRESH_AFTER => {}
            Some(_) if self.was_tried_within(DISTRUST_AFTER) => self.start(REFRESH_AFTER / 10),
            _ => self.refresh().await,
        }
        match self.check(token) {
            Err(AuthError::InvalidToken(UNKNOWN_KEY)) => {
                self.refresh().await;
                self.check(token)
            }
            checked => checked,
        }
    }

    fn known(&self) -> Option<(Arc<Keys>, Instant)> {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn was_tried_within(&self, time: Duration) -> bool {
        let ended = self.0.attempts.borrow().ended;
        ended.is_some_and(|ended| ended.elapsed() < time)
    }

    /// Reads the keys unless that was tried a moment ago, and waits until it is done.
    async fn refresh(&self) {
        let mut attempts = self.0.attempts.subscribe();
        self.start(RETRY_AFTER);
        // The sender lives as long as this.
        let _ = attempts.wait_for(|attempts| !attempts.is_running).await;
    }

    /// Begins to read the keys, unless that is being done or was tried less than `pause` ago. It does
    /// not end with the request that asked for it.
    fn start(&self, pause: Duration) {
        let starts = self.0.attempts.send_if_modified(|attempts| {
            let rests = attempts.ended.is_some_and(|ended| ended.elapsed() < pause);
            let starts = !attempts.is_running && !rests;
            attempts.is_running |= starts;
            starts
        });
        if starts {
            let attempt = Attempt(self.clone());
            tokio::spawn(async move { attempt.0.load().await });
        }
    }

    async fn load(&self) {
        match self.0.loader.load().await {
            Ok(keys) => {
                let mut known = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
                *known = Some((Arc::new(keys), Instant::now()));
            }
            // At most once per attempt, so at most every few seconds.
            Err(error) => tracing::warn!(error, "cannot read the keys for tokens"),
        }
    }

    fn check(&self, token: &str) -> Result<Caller, AuthError> {
        let (keys, read) = self.known().ok_or(AuthError::NoKeys)?;
        if let Some(caller) = self.0.accepted.find(token, read) {
            return Ok(caller);
        }
        let header = decode_header(token).map_err(|_| AuthError::InvalidToken("malformed"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(AuthError::InvalidToken("another algorithm than RS256, ES256 or EdDSA"));
        }
        let key = keys.find(header.kid.as_deref(), header.alg);
        let key = key.ok_or(AuthError::InvalidToken(UNKNOWN_KEY))?;
        let IdentitySettings { issuer, audience, clock_skew, .. } = &self.0.settings;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = clock_skew.as_secs();
        let decoded = decode::<Claims>(token, key, &validation);
        let TokenData { claims, .. } =
            decoded.map_err(|error| AuthError::InvalidToken(reason(error.kind())))?;
        let scopes = claims.scope.split_ascii_whitespace().map(str::to_owned).collect();
        let caller = Caller::identified(claims.sub, scopes, token);
        let expires = claims.exp + clock_skew.as_secs_f64();
        self.0.accepted.keep(token, caller.clone(), expires, read);
        Ok(caller)
    }
}

/// The token of `Bearer <token>`.
fn bearer(authorization: &[u8]) -> Result<&str, AuthError> {
    if authorization.len() > MAX_TOKEN_BYTES {
        return Err(AuthError::InvalidToken("too long"));
    }
    let text = std::str::from_utf8(authorization).map_err(|_| AuthError::NoToken)?;
    let (scheme, token) = text.trim().split_once(' ').ok_or(AuthError::NoToken)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(AuthError::NoToken) }
}

fn reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ExpiredSignature => "expired",
        ErrorKind::ImmatureSignature => "not valid yet",
        ErrorKind::InvalidIssuer => "another issuer",
        ErrorKind::InvalidAudience => "for another audience",
        ErrorKind::InvalidSignature => "wrong signature",
        ErrorKind::MissingRequiredClaim(_) => "exp, iss, aud or sub is missing",
        _ => "malformed",
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::path::PathBuf;

    use super::super::KeySource;
    use super::*;

    /// Nobody has the private key. The corpus contains the token that it signed.
    const KEY: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "LUY8srbXnL3A1DnunbbziPYhdnOcvd3Hs_H8c_J_IZE"}]}"#;
    const SIGNED: &str = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoic2hvcCIsInN1YiI6IjciLCJleHAiOjQxMDI0NDQ4MDB9";

    fn verifier() -> Verifier {
        let verifier = Verifier::new(&IdentitySettings {
            keys: KeySource::File(PathBuf::new()),
            issuer: "https://issuer.example".to_owned(),
            audience: "shop".to_owned(),
            clock_skew: Duration::ZERO,
        })
        .unwrap();
        let keys = Keys::parse(KEY.as_bytes()).unwrap();
        *verifier.0.keys.write().unwrap() = Some((Arc::new(keys), Instant::now()));
        verifier
    }

    #[test]
    fn fuzz_token() {
        let verifier = AssertUnwindSafe(verifier());
        bolero::check!().for_each(|authorization: &[u8]| {
            let Ok(token) = bearer(authorization) else { return };
            if verifier.check(token).is_ok() {
                assert_eq!(token.rsplit_once('.').map(|(signed, _)| signed), Some(SIGNED));
            }
        });
    }

    #[test]
    fn a_token_of_the_known_key_is_accepted() {
        let token = include_str!("__fuzz__/identity__verifier__tests__fuzz_token/corpus/valid");
        let caller = verifier().check(bearer(token.as_bytes()).unwrap()).unwrap();
        assert_eq!(caller.subject(), Some("7"));
    }
}
