//! The `OpenAPI` document.

use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathItem};
use utoipa::openapi::{ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathsBuilder, ResponseBuilder};

/// Describes every route of the port.
pub fn document() -> OpenApi {
    let info = InfoBuilder::new().title("notifier").version(env!("CARGO_PKG_VERSION")).description(Some(
        "Notifies about order events. This port shows how it is doing; its work comes from Kafka.",
    ));
    let paths = PathsBuilder::new()
        .path("/livez", get("Whether the process lives", "text/plain", &[("200", "It does.")]))
        .path(
            "/readyz",
            get(
                "Whether it can do its work, part by part",
                "application/json",
                &[("200", "Every part works."), ("503", "A part is waited for, or the process is stopping.")],
            ),
        )
        .path("/metrics", get("Metrics for Prometheus", "text/plain", &[("200", "All metrics.")]));
    OpenApiBuilder::new().info(info.build()).paths(paths.build()).build()
}

fn get(summary: &str, media_type: &str, responses: &[(&str, &str)]) -> PathItem {
    let operation = responses.iter().fold(
        OperationBuilder::new().summary(Some(summary)).tag("operations"),
        |operation, (status, description)| {
            let content = ContentBuilder::new().build();
            let response = ResponseBuilder::new().description(*description).content(media_type, content);
            operation.response(*status, response.build())
        },
    );
    PathItem::new(HttpMethod::Get, operation.build())
}
