//! What a caller may do.

use std::sync::Arc;

use super::AuthError;
use crate::settings::Secret;

/// Who sent a request. The front-ends give it to each handler: over HTTP as an extractor, over gRPC
/// as an extension of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Identity is not configured.
    Anyone,
    Identified(Arc<Identified>),
}

#[derive(Debug, PartialEq, Eq)]
struct Identified {
    subject: String,
    scopes: Vec<String>,
    token: Secret,
}

impl Caller {
    /// The caller of a service without identity: it may do everything.
    pub const fn anyone() -> Self {
        Self(Kind::Anyone)
    }

    pub(super) fn identified(subject: String, scopes: Vec<String>, token: &str) -> Self {
        let token = Secret::new(token);
        Self(Kind::Identified(Arc::new(Identified { subject, scopes, token })))
    }

    /// Whether the caller is `user`, or its token has the scope `scope`.
    ///
    /// # Errors
    /// `Forbidden` otherwise.
    pub fn is_user_or_has(&self, user: i64, scope: &str) -> Result<(), AuthError> {
        match &self.0 {
            Kind::Identified(caller)
                if caller.subject != user.to_string() && !caller.has(scope) =>
            {
                Err(AuthError::Forbidden)
            }
            _ => Ok(()),
        }
    }

    /// Whether the caller's token has the scope `scope`.
    ///
    /// # Errors
    /// `Forbidden` otherwise.
    pub fn has(&self, scope: &str) -> Result<(), AuthError> {
        match &self.0 {
            Kind::Identified(caller) if !caller.has(scope) => Err(AuthError::Forbidden),
            _ => Ok(()),
        }
    }

    pub(crate) fn subject(&self) -> Option<&str> {
        match &self.0 {
            Kind::Anyone => None,
            Kind::Identified(caller) => Some(&caller.subject),
        }
    }

    /// Whether callers are told apart at all.
    pub const fn is_identified(&self) -> bool {
        matches!(self.0, Kind::Identified(_))
    }

    /// The token, to pass the caller's identity on.
    pub fn token(&self) -> Option<&Secret> {
        match &self.0 {
            Kind::Anyone => None,
            Kind::Identified(caller) => Some(&caller.token),
        }
    }
}

impl Identified {
    fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope)
    }
}
