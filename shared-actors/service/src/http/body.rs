//! JSON bodies of requests.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures::{Stream, StreamExt};
use serde::de::DeserializeOwned;

use super::ApiError;
use crate::error::ErrorCode;

/// The largest request body in bytes, stored as application data.
#[derive(Clone, Copy)]
pub(super) struct BodyLimit(pub(super) usize);

/// The body of a request parsed as JSON, whatever its `Content-Type`, up to the server's limit. An
/// error names the field at fault.
///
/// ```
/// use actix_web::HttpResponse;
/// use service_kit::http::JsonBody;
///
/// #[derive(serde::Deserialize)]
/// struct Checkout {
///     user: i64,
/// }
///
/// async fn checkout(JsonBody(request): JsonBody<Checkout>) -> HttpResponse {
///     HttpResponse::Ok().json(request.user)
/// }
/// # let _ = actix_web::web::post().to(checkout);
/// ```
#[derive(Clone, Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest for JsonBody<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limit = request.app_data::<BodyLimit>().map_or(16 * 1024, |limit| limit.0);
        let announced = announced_length(request.headers());
        let mut payload = payload.take();
        Box::pin(async move {
            if announced.is_some_and(|length| length > limit) {
                return Err(too_large(limit));
            }
            let mut body = web::BytesMut::with_capacity(announced.unwrap_or(0));
            while let Some(chunk) = payload.next().await {
                let chunk = chunk.map_err(|error| {
                    ApiError::new(
                        ErrorCode::InvalidArgument,
                        format!("the body cannot be read: {error}"),
                    )
                })?;
                if body.len() + chunk.len() > limit {
                    return Err(too_large(limit));
                }
                body.extend_from_slice(&chunk);
            }
            parse(&body).map(Self)
        })
    }
}

pub(super) fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the request announces a body.
pub(super) fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING)
        || announced_length(headers).is_some_and(|length| length > 0)
}

/// The error for a body that would have to be decoded first; `None` for a plain body.
pub(super) fn packed(headers: &HeaderMap) -> Option<ApiError> {
    let encoding = headers.get(CONTENT_ENCODING).filter(|encoding| *encoding != "identity")?;
    let encoding = encoding.to_str().unwrap_or("an unknown encoding");
    let message = format!("the body is encoded with {encoding}; send it without Content-Encoding");
    Some(ApiError::new(ErrorCode::UnsupportedMediaType, message))
}

/// A body that is arriving. It records when it is complete.
pub(super) struct Arriving {
    body: Payload,
    has_come: Rc<Cell<bool>>,
}

impl Arriving {
    /// Wraps the request's body. The returned cell becomes true when the whole body has arrived.
    pub(super) fn watch(request: &mut ServiceRequest) -> Rc<Cell<bool>> {
        let has_come = Rc::new(Cell::new(!has_body(request.headers())));
        if !has_come.get() {
            let body = Self { body: request.take_payload(), has_come: Rc::clone(&has_come) };
            request.set_payload(Payload::Stream { payload: Box::pin(body) });
        }
        has_come
    }
}

impl Stream for Arriving {
    type Item = Result<web::Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = ready!(Pin::new(&mut self.body).poll_next(cx));
        if chunk.is_none() {
            self.has_come.set(true);
        }
        Poll::Ready(chunk)
    }
}

pub(super) fn too_large(limit: usize) -> ApiError {
    ApiError::new(ErrorCode::PayloadTooLarge, format!("the body is larger than {limit} bytes"))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(ApiError::new(
            ErrorCode::InvalidArgument,
            "the body is empty; it must be JSON",
        ));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        refusal(&path, &error.into_inner())
    })?;
    reader.end().map_err(|error| refusal(".", &error))?;
    Ok(value)
}

fn refusal(path: &str, error: &serde_json::Error) -> ApiError {
    if error.is_syntax() || error.is_eof() {
        return ApiError::new(ErrorCode::InvalidArgument, format!("the body is not JSON: {error}"));
    }
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or_default();
    // The missing field is at fault, not the object that lacks it.
    let missing = reason.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    let field = match (path, missing) {
        (".", Some(name)) => name.to_owned(),
        (outer, Some(name)) => format!("{outer}.{name}"),
        (path, None) => path.to_owned(),
    };
    match field.as_str() {
        "." => ApiError::new(ErrorCode::InvalidArgument, format!("the body: {reason}")),
        field => {
            let message =
                if missing.is_some() { "is missing".to_owned() } else { reason.to_owned() };
            ApiError::new(ErrorCode::InvalidArgument, format!("{field}: {message}"))
                .with_field(field)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Order {
        count: u16,
        items: Option<Vec<Item>>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Item {
        sku: u32,
    }

    #[test]
    fn fuzz_json_body() {
        bolero::check!().for_each(|body: &[u8]| {
            let is_order = serde_json::from_slice::<Order>(body).is_ok();
            assert_eq!(parse::<Order>(body).is_ok(), is_order);
        });
    }

    #[test]
    fn an_error_names_the_field() {
        for (body, field) in [
            (r#"{"count": 65536}"#, Some("count")),
            (r#"{"count": -1}"#, Some("count")),
            (r#"{"count": 1.5}"#, Some("count")),
            (r#"{"count": "1"}"#, Some("count")),
            ("{}", Some("count")),
            (r#"{"count": 1, "items": [{"sku": 1}, {}]}"#, Some("items[1].sku")),
            ("[]x", None),
            ("{", None),
            ("", None),
            ("7", None),
            (r#"{"count": 1} {}"#, None),
        ] {
            let error = parse::<Order>(body.as_bytes()).unwrap_err();
            assert_eq!(error.parts().code, ErrorCode::InvalidArgument);
            assert_eq!(error.parts().field.as_deref(), field, "{body}: {error}");
        }
        assert!(parse::<Order>(b" {\"count\": 1} ").is_ok());
    }
}
