//! What RFC 9110 demands of every server, whatever its routes are.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::web::Bytes;

/// What a request asked for, before it was changed for the routes.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    only_head: bool,
    options: bool,
    upgrade: bool,
}

impl Asked {
    /// Turns a HEAD into a GET, because routes know only GET.
    pub(super) fn of(request: &mut ServiceRequest) -> Self {
        let only_head = request.method() == Method::HEAD;
        if only_head {
            request.head_mut().method = Method::GET;
        }
        let options = request.method() == Method::OPTIONS;
        Self { only_head, options, upgrade: request.head().upgrade() }
    }

    /// Adapts the response to the request.
    pub(super) fn conclude(
        self,
        mut response: ServiceResponse<BoxBody>,
    ) -> ServiceResponse<BoxBody> {
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            complete_allow(response.headers_mut());
        }
        if self.options {
            response = options(response);
        }
        if self.upgrade {
            // 7.8: an upgrade that is not supported is ignored. actix would otherwise announce it.
            response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        }
        if self.only_head {
            // actix leaves out the body by itself, unless the next request has already arrived.
            response = response.map_body(|_, body| BoxBody::new(Absent(body.size())));
        }
        response
    }
}

/// 9.3.7: OPTIONS asks for the methods of a route, or of the server.
fn options(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let is_for_server =
        response.request().path() == "*" && response.status() == StatusCode::NOT_FOUND;
    if response.status() != StatusCode::METHOD_NOT_ALLOWED && !is_for_server {
        return response;
    }
    let (request, refused) = response.into_parts();
    let mut answer = HttpResponse::NoContent().finish();
    let allow = HeaderValue::from_static("GET, POST, DELETE, HEAD, OPTIONS");
    answer.headers_mut().insert(header::ALLOW, allow);
    for name in [header::ALLOW, header::VARY, header::ACCESS_CONTROL_ALLOW_ORIGIN] {
        if let Some(value) = refused.headers().get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    ServiceResponse::new(request, answer)
}

/// 10.2.1: `Allow` lists all methods. Routes know neither HEAD nor OPTIONS.
fn complete_allow(headers: &mut HeaderMap) {
    let Some(allowed) = headers.get(header::ALLOW).and_then(|value| value.to_str().ok()) else {
        return;
    };
    let head = if allowed.contains("GET") { ", HEAD" } else { "" };
    if let Ok(allowed) = HeaderValue::try_from(format!("{allowed}{head}, OPTIONS")) {
        headers.insert(header::ALLOW, allowed);
    }
}

/// A body of this size that is not sent.
struct Absent(BodySize);

impl MessageBody for Absent {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}
