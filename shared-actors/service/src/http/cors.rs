//! Which pages may call a service from a browser.

use std::fmt;
use std::str::FromStr;

use actix_cors::Cors;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, Uri};
use thiserror::Error;

use crate::allowance;

/// How long a browser may remember the permission to call.
const MAX_AGE_SECONDS: usize = 3600;

/// A comma-separated list of origins, such as `http://localhost:8089`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedOrigins(Vec<String>);

/// The text is not a list of origins.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("origins like http://localhost:8089, separated by commas")]
pub struct AllowedOriginsError;

impl AllowedOrigins {
    /// The origin of the calling page, if that page may read the answer.
    pub(super) fn page(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        self.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }

    /// The origins, as browsers spell them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Lets scripts of `origins` call the API and read `Retry-After`.
pub(super) fn cors(origins: &AllowedOrigins) -> Cors {
    let cors = Cors::default()
        .allowed_methods([Method::GET, Method::POST, Method::DELETE])
        .allowed_headers([
            header::CONTENT_TYPE.as_str(),
            header::ACCEPT.as_str(),
            "idempotency-key",
            allowance::TIMEOUT_HEADER,
            "traceparent",
            "tracestate",
            "baggage",
            header::AUTHORIZATION.as_str(),
        ])
        .expose_headers([header::RETRY_AFTER])
        .max_age(MAX_AGE_SECONDS);
    origins.iter().fold(cors, Cors::allowed_origin)
}

/// Lets `page` read an answer that did not pass through the layer of `cors`.
pub(super) fn allow(headers: &mut HeaderMap, page: &HeaderValue) {
    if !headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, page.clone());
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let exposed = HeaderValue::from_static("Retry-After");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

/// Whether this is a preflight: a browser asks whether its page may call.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The origins of the Swagger UI in the local stack.
impl Default for AllowedOrigins {
    fn default() -> Self {
        Self(["http://localhost:8089", "http://127.0.0.1:8089"].map(str::to_owned).to_vec())
    }
}

impl fmt::Display for AllowedOrigins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

impl FromStr for AllowedOrigins {
    type Err = AllowedOriginsError;

    fn from_str(list: &str) -> Result<Self, AllowedOriginsError> {
        let origins = list.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        let origins: Vec<String> =
            origins.map(origin).collect::<Option<_>>().ok_or(AllowedOriginsError)?;
        if origins.is_empty() { Err(AllowedOriginsError) } else { Ok(Self(origins)) }
    }
}

/// Scheme, host and port. A trailing slash is accepted, because people paste it from a browser.
fn origin(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme))?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    (uri.path() == "/" && uri.query().is_none())
        .then(|| format!("{scheme}://{authority}").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_origins_is_read_as_browsers_spell_them() {
        let origins: AllowedOrigins =
            "http://localhost:8089/, HTTPS://Shop.Example".parse().unwrap();
        assert_eq!(
            origins.iter().collect::<Vec<_>>(),
            ["http://localhost:8089", "https://shop.example"]
        );
        assert_eq!(AllowedOrigins::default().to_string().parse(), Ok(AllowedOrigins::default()));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for wrong in [
            "",
            ",",
            "*",
            "localhost:8089",
            "http://a/b",
            "http://a?b",
            "ftp://a",
            "http://u@a",
            "http://",
        ] {
            assert!(wrong.parse::<AllowedOrigins>().is_err(), "{wrong:?}");
        }
    }
}
