//! The `OpenAPI` document.

use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(info(
    title = "notifier",
    description = "Notifies about order events. Its work comes from Kafka; this port serves health checks and metrics. Errors are \
                   `{\"code\", \"message\"}`.",
    license(name = "Apache-2.0", identifier = "Apache-2.0"),
))]
struct Document;

/// The port's document. The routes that every service has are added when it is served.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
