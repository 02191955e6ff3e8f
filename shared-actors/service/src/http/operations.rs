//! The routes that every HTTP port serves in addition to the service's own.

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Data, ServiceConfig};
use serde::Serialize;
use shared_actors::health::{ComponentReport, Health};
use utoipa::OpenApi as _;
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa_swagger_ui::SwaggerUi;

use crate::metrics;

/// Whether a path is one of these routes. They are neither traced, counted nor gated.
pub(super) fn is_operation(path: &str) -> bool {
    metrics::OPERATIONS.contains(&path) || path.starts_with(metrics::SWAGGER_UI)
}

/// The description of these routes in every service's document.
#[derive(utoipa::OpenApi)]
#[openapi(
    tags((name = "operations", description = "Health and metrics. These routes also answer while the process is starting.")),
    paths(live, ready, scrape)
)]
struct Document;

/// The readiness of a service, part by part.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "ready": true,
    "components": [{"name": "postgres shard 0", "ready": true, "reason": null, "required": true}],
}))]
struct Readiness {
    /// Whether every required part works and the process is not stopping. If there are groups of
    /// parts, all parts of at least one group must work, too.
    ready: bool,
    components: Vec<ComponentReport>,
}

/// What `/readyz` may tell.
#[derive(Clone)]
struct Probes {
    health: Health,
    tells_reasons: bool,
}

/// The routes of the service's port. With `has_own_port`, metrics and reasons are on the other one.
/// With `needs_token`, the document says that callers need a token.
pub(super) fn configure(
    config: &mut ServiceConfig,
    health: &Health,
    mut openapi: OpenApi,
    has_own_port: bool,
    needs_token: bool,
) {
    if needs_token {
        require_token(&mut openapi);
    }
    openapi.merge(Document::openapi());
    // Where callers need a token, this port is for strangers.
    probes(config, health, !has_own_port && !needs_token);
    if !has_own_port {
        scraping(config);
    }
    config
        .service(web::redirect("/swagger-ui", "/swagger-ui/"))
        .service(SwaggerUi::new("/swagger-ui/{_:.*}").url("/openapi.json", openapi));
}

/// Says that every call of the document needs a token.
fn require_token(openapi: &mut OpenApi) {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    let components = openapi.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(scheme.build()));
    for path in openapi.paths.paths.values_mut() {
        for call in [&mut path.get, &mut path.post, &mut path.delete].into_iter().flatten() {
            call.security = Some(vec![SecurityRequirement::new("token", [""; 0])]);
        }
    }
}

/// The routes of the port that is only for operations.
pub(super) fn configure_own_port(config: &mut ServiceConfig, health: &Health) {
    probes(config, health, true);
    scraping(config);
}

fn probes(config: &mut ServiceConfig, health: &Health, tells_reasons: bool) {
    config
        .app_data(Data::new(Probes { health: health.clone(), tells_reasons }))
        .service(web::resource("/livez").route(web::get().to(live)))
        .service(web::resource("/readyz").route(web::get().to(ready)));
}

fn scraping(config: &mut ServiceConfig) {
    config.service(web::resource("/metrics").route(web::get().to(scrape)));
}

/// Whether the process is alive.
#[utoipa::path(
    get, path = "/livez", tag = "operations", operation_id = "live",
    responses((status = 200, description = "The process is alive.", body = String, content_type = "text/plain", example = "ok"))
)]
async fn live() -> &'static str {
    "ok"
}

/// Whether the service can do its work.
#[utoipa::path(
    get, path = "/readyz", tag = "operations", operation_id = "ready",
    responses(
        (status = 200, description = "The service can do its work.", body = Readiness),
        (status = 503, description = "A required component is not ready, or the process is stopping.", body = Readiness,
            example = json!({
                "ready": false,
                "components": [
                    {"name": "postgres shard 0", "ready": false, "reason": "connection refused", "required": true},
                ],
            })),
    )
)]
async fn ready(probes: Data<Probes>) -> HttpResponse {
    let ready = probes.health.is_ready();
    let mut components = probes.health.report();
    if !probes.tells_reasons {
        for component in &mut components {
            component.reason = None;
        }
    }
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header((CACHE_CONTROL, "no-store"));
    response.json(Readiness { ready, components })
}

/// Metrics for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operations", operation_id = "metrics",
    responses((status = 200, description = "All metrics, in the Prometheus text format.", body = String, content_type = "text/plain",
        example = "# HELP actor_live Actors in memory.\n# TYPE actor_live gauge\nactor_live{actor=\"relay\"} 2\n"))
)]
async fn scrape() -> HttpResponse {
    HttpResponse::Ok().content_type(metrics::CONTENT_TYPE).body(metrics::render())
}
