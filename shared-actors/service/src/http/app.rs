//! The application that each worker serves: the service's routes and the layers around them.

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::web::{self, PathConfig, PayloadConfig, QueryConfig, ServiceConfig};
use actix_web::{App, Error, HttpResponse};
use shared_actors::health::Health;
use tracing_actix_web::TracingLogger;

use super::asked::Asked;
use super::body::BodyLimit;
use super::cors::cors;
use super::front::FrontEnd;
use super::span::RequestSpan;
use super::{ApiError, HttpServerSettings, HttpService, operations};
use crate::error::ErrorCode;
use crate::limits::RateLimits;
use crate::metrics;
use crate::net::Activity;
use crate::refusals::Refusals;

pub(super) fn app<C: FnOnce(&mut ServiceConfig)>(
    settings: &HttpServerSettings,
    service: HttpService,
    refusals: Arc<Refusals>,
    limits: Arc<RateLimits>,
    configure: C,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<C>>,
        Error = Error,
        InitError = (),
    > + use<C>,
> {
    let (limit, needs_token) = (settings.body_limit_bytes, service.identity.is_some());
    let front = FrontEnd {
        health: service.health.clone(),
        errors: service.errors,
        body_limit_bytes: limit,
        request_timeout: settings.request_timeout,
        origins: settings.allowed_origins.clone(),
        refusals,
        limits,
        identity: service.identity,
    };
    App::new()
        .app_data(BodyLimit(limit))
        .app_data(PayloadConfig::new(limit))
        .app_data(
            PathConfig::default()
                .error_handler(|error, request| ApiError::of_path(&error, request).into()),
        )
        .app_data(QueryConfig::default().error_handler(|error, _| {
            ApiError::new(ErrorCode::InvalidArgument, format!("invalid query string: {error}"))
                .into()
        }))
        .wrap(cors(&settings.allowed_origins))
        .wrap(front)
        // Outside the front end, because the front end decides which status a client sees.
        .wrap(metrics::http())
        .wrap(TracingLogger::<RequestSpan>::new())
        .configure(|config| {
            let has_own_port = settings.operations.is_some();
            operations::configure(
                config,
                &service.health,
                service.openapi,
                has_own_port,
                needs_token,
            );
        })
        .configure(configure)
        .default_service(web::to(|| async { HttpResponse::NotFound().finish() }))
}

/// The application of the port that is only for operations.
pub(super) fn operations_app(
    health: &Health,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    App::new()
        .wrap_fn(|mut request, next| {
            let asked = Asked::of(&mut request);
            // Otherwise, the connection would be closed like one that sends no request.
            let busy = request.conn_data::<Arc<Activity>>().map(Activity::begin);
            let answer = next.call(request);
            async move {
                let _busy = busy;
                Ok(asked.conclude(answer.await?.map_into_boxed_body()))
            }
        })
        .configure(|config| operations::configure_own_port(config, health))
}
