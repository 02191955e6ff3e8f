//! The `OpenAPI` document.

use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(info(
    title = "notifier",
    description = "Notifies about order events. Its work comes from Kafka; this port shows how it is doing. Errors are \
                   `{\"code\", \"message\"}`.",
    license(name = "Apache-2.0", identifier = "Apache-2.0"),
))]
struct Document;

/// The document of the port; the routes that every service has are added where it is served.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
