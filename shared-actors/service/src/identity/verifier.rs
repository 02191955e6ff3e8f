//! Checks tokens.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, TokenData, Validation, decode, decode_header};
use serde::Deserialize;
use tokio::time::Instant;

use super::keys::{Keys, Loader};
use super::{AuthError, Caller, IdentitySettings};

/// The age at which the keys are read again.
const REFRESH_AFTER: Duration = Duration::from_mins(5);
/// The shortest time between two attempts. A token with an unknown key asks for one.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// The longest token, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// Checks the tokens of callers. Cheap to clone.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    settings: IdentitySettings,
    loader: Loader,
    keys: RwLock<Arc<Keys>>,
    /// When the keys were last asked for.
    asked: Mutex<Option<Instant>>,
    /// Held while they are.
    loading: tokio::sync::Mutex<()>,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
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
        let loader = Loader::new(settings.keys.clone())?;
        Ok(Self(Arc::new(Inner {
            settings: settings.clone(),
            loader,
            keys: RwLock::default(),
            asked: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
        })))
    }

    /// Checks the values of the header `Authorization`, of which there must be one. Reads the keys again if they are old, or if
    /// the token was signed by an unknown one. If their source gives no answer, the previous keys
    /// stay in use.
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
        match self.check(token) {
            Err(AuthError::InvalidToken(UNKNOWN_KEY) | AuthError::NoKeys) => {
                self.refresh(RETRY_AFTER).await;
                self.check(token)
            }
            checked => {
                if self.is_due(REFRESH_AFTER) {
                    let verifier = self.clone();
                    tokio::spawn(async move { verifier.refresh(REFRESH_AFTER).await });
                }
                checked
            }
        }
    }

    fn is_due(&self, age: Duration) -> bool {
        let asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_none_or(|asked| asked.elapsed() >= age)
    }

    /// Reads the keys unless that was tried less than `age` ago. Waits while another call does.
    async fn refresh(&self, age: Duration) {
        let _loading = self.0.loading.lock().await;
        if !self.is_due(age) {
            return;
        }
        *self.0.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        match self.0.loader.load().await {
            Ok(keys) => {
                *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
            }
            // At most once per attempt, so at most every few seconds.
            Err(error) => tracing::warn!(error, "cannot read the keys for tokens"),
        }
    }

    fn check(&self, token: &str) -> Result<Caller, AuthError> {
        let keys = Arc::clone(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner));
        if keys.is_empty() {
            return Err(AuthError::NoKeys);
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
        Ok(Caller::identified(claims.sub, scopes, token))
    }
}

const UNKNOWN_KEY: &str = "signed by an unknown key";

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
