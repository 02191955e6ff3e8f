//! One function per route, each with its part of the `OpenAPI` document.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use service_kit::http::{ApiError, JsonBody};
use service_kit::identity::{AuthError, Caller};

use super::body::{
    AddItemRequest, CartAnswer, CheckoutAnswer, CheckoutRequest, Done, IdempotencyHeader,
};
use super::members::Members;
use super::openapi::{AddErrors, CheckoutErrors, EveryCall, PostErrors, ShowErrors};
use crate::carts::Carts;
use crate::domain::{CartError, Quantity, Sku, UserId};
use crate::idempotency::IdempotencyKey;

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// The scope of tokens of services, which act for any user.
const ANY_USER: &str = "shop.any-user";

type Answer = Result<HttpResponse, ApiError>;
type Body = JsonBody<Members>;

/// Adds pieces of a product to those that are already in the cart.
#[utoipa::path(
    post, path = "/user/{user_id}/cart/{sku_id}", tag = "cart", operation_id = "addItem",
    params(
        ("user_id" = i64, Path, description = "The user", minimum = 1, example = 31337),
        ("sku_id" = u32, Path, description = "The product", minimum = 1, maximum = 4_294_967_295_u32, example = 1003),
        IdempotencyHeader,
    ),
    request_body = AddItemRequest,
    responses(
        (status = 200, description = "The pieces were added and stored durably", body = Done),
        AddErrors, PostErrors, EveryCall,
    )
)]
pub async fn add_item(
    carts: Data<Carts>,
    caller: Caller,
    path: Path<(String, String)>,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let (user, sku) = (own(&caller, UserId::parse(&path.0)?)?, Sku::parse(&path.1)?);
    let count = Quantity::from_json(body.0.whole_number("count")?)?;
    carts.add(user, sku, count, key(&request)?).await?;
    Ok(HttpResponse::Ok().json(Done {}))
}

/// Removes a product from the cart, if it is there.
#[utoipa::path(
    delete, path = "/user/{user_id}/cart/{sku_id}", tag = "cart", operation_id = "removeItem",
    params(
        ("user_id" = i64, Path, description = "The user", minimum = 1, example = 31337),
        ("sku_id" = u32, Path, description = "The product", minimum = 1, maximum = 4_294_967_295_u32, example = 1003),
    ),
    responses(
        (status = 204, description = "The product is not in the cart now"),
        EveryCall,
    )
)]
pub async fn remove_item(
    carts: Data<Carts>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Answer {
    carts.remove(own(&caller, UserId::parse(&path.0)?)?, Sku::parse(&path.1)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Empties the cart.
#[utoipa::path(
    delete, path = "/user/{user_id}/cart", tag = "cart", operation_id = "clearCart",
    params(("user_id" = i64, Path, description = "The user", minimum = 1, example = 31337)),
    responses(
        (status = 204, description = "The cart is empty now"),
        EveryCall,
    )
)]
pub async fn clear_cart(carts: Data<Carts>, caller: Caller, path: Path<String>) -> Answer {
    carts.clear(own(&caller, UserId::parse(&path)?)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Shows the cart with names and prices.
#[utoipa::path(
    get, path = "/user/{user_id}/cart", tag = "cart", operation_id = "showCart",
    params(("user_id" = i64, Path, description = "The user", minimum = 1, example = 31337)),
    responses(
        (status = 200, description = "The lines, ordered by SKU", body = CartAnswer),
        ShowErrors, EveryCall,
    )
)]
pub async fn show_cart(carts: Data<Carts>, caller: Caller, path: Path<String>) -> Answer {
    let cart = carts.show(own(&caller, UserId::parse(&path)?)?).await?;
    Ok(HttpResponse::Ok().json(CartAnswer::from(cart)))
}

/// Orders the contents of the cart. Exactly the ordered pieces leave it.
#[utoipa::path(
    post, path = "/cart/checkout", tag = "cart", operation_id = "checkout",
    params(IdempotencyHeader),
    request_body = CheckoutRequest,
    responses(
        (status = 200, description = "The order", body = CheckoutAnswer),
        CheckoutErrors, PostErrors, EveryCall,
    )
)]
pub async fn checkout(
    carts: Data<Carts>,
    caller: Caller,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let user = own(&caller, UserId::from_json(body.0.whole_number("user")?)?)?;
    let order = carts.checkout(user, key(&request)?, caller.token().cloned()).await?;
    Ok(HttpResponse::Ok().json(CheckoutAnswer::from(order)))
}

/// The user, if the caller may touch this user's cart.
fn own(caller: &Caller, user: UserId) -> Result<UserId, AuthError> {
    caller.is_user_or_has(user.get(), ANY_USER).map(|()| user)
}

fn key(request: &HttpRequest) -> Result<Option<IdempotencyKey>, CartError> {
    let mut values = request.headers().get_all(IDEMPOTENCY_KEY);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => IdempotencyKey::parse(value.as_bytes()).map(Some),
        (Some(_), Some(_)) => Err(CartError::invalid(IDEMPOTENCY_KEY, "must be given only once")),
    }
}
