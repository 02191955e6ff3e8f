//! The `OpenAPI` document.

use utoipa::OpenApi;

use super::handlers;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "cart",
        description = "Carts of the shop. Errors are `{\"code\", \"message\"}`; `code` is stable. 429 and 503 carry \
                       `Retry-After`. A body is read as JSON whatever its Content-Type, up to 16 KiB.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        handlers::add_item,
        handlers::remove_item,
        handlers::clear_cart,
        handlers::show_cart,
        handlers::checkout,
    ),
    tags((name = "cart", description = "What a user puts into the cart, and the order it becomes"))
)]
struct Document;

/// The document that `/openapi.json` serves.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_route() {
        let document = openapi();
        let paths: Vec<&str> = document.paths.paths.keys().map(String::as_str).collect();
        assert_eq!(paths, ["/cart/checkout", "/user/{user_id}/cart", "/user/{user_id}/cart/{sku_id}"]);
    }
}
