//! The routes that every HTTP port serves beside the service's own.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpResponse, guard};
use serde::Serialize;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use crate::health::{ComponentReport, Health};
use crate::metrics;

/// Whether a path is one of these routes: they are neither traced, counted nor gated.
pub(super) fn is_operation(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/metrics" | "/openapi.json") || path.starts_with("/swagger-ui")
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    components: Vec<ComponentReport>,
}

pub(super) fn configure(config: &mut ServiceConfig, health: &Health, openapi: OpenApi) {
    config
        .app_data(Data::new(health.clone()))
        .service(web::resource("/livez").route(readable().to(live)))
        .service(web::resource("/readyz").route(readable().to(ready)))
        .service(web::resource("/metrics").route(readable().to(scrape)))
        .service(web::redirect("/swagger-ui", "/swagger-ui/"))
        .service(SwaggerUi::new("/swagger-ui/{_:.*}").url("/openapi.json", openapi));
}

fn readable() -> actix_web::Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

async fn live() -> &'static str {
    "ok"
}

async fn ready(health: Data<Health>) -> HttpResponse {
    let ready = health.is_ready();
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header((CACHE_CONTROL, "no-store"));
    response.json(Readiness { ready, components: health.report() })
}

async fn scrape() -> HttpResponse {
    HttpResponse::Ok().content_type(metrics::CONTENT_TYPE).body(metrics::render())
}
