//! The JSON bodies of requests and responses.

use serde::Serialize;
use service_kit::error::Detail;
use utoipa::{IntoParams, ToSchema};

use crate::carts::{CartView, PricedLine};
use crate::domain::OrderId;

/// The header of POST requests.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header")]
pub struct IdempotencyHeader {
    /// Makes retries safe: a request with the same key, route and body gets the first answer again.
    #[param(
        rename = "Idempotency-Key",
        required = false,
        min_length = 1,
        max_length = 255,
        pattern = "^[ -~]+$"
    )]
    key: String,
}

/// How many pieces to add. Other members are ignored.
#[derive(ToSchema)]
#[schema(as = AddItemRequest, example = json!({"count": 2}))]
pub struct AddItemRequest {
    /// The number of pieces, a whole number.
    #[schema(minimum = 1, maximum = 65535)]
    #[expect(
        dead_code,
        reason = "describes the body; it is read member by member to name the one at fault"
    )]
    count: u16,
}

/// Whose cart to order. Other members are ignored.
#[derive(ToSchema)]
#[schema(as = CheckoutRequest, example = json!({"user": 31_337}))]
pub struct CheckoutRequest {
    /// The user's id.
    #[schema(minimum = 1)]
    #[expect(
        dead_code,
        reason = "describes the body; it is read member by member to name the one at fault"
    )]
    user: i64,
}

/// Success without further data.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({}))]
pub struct Done {}

/// The order that was created from the cart.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"orderID": 1000}))]
pub struct CheckoutAnswer {
    /// The id of the order in loms.
    #[serde(rename = "orderID")]
    #[schema(minimum = 1000)]
    order_id: i64,
}

/// A cart.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "items": [{"sku_id": 1003, "name": "Enamel mug Northlight, 350 ml", "count": 2, "price": 890}],
    "total_price": 1780
}))]
pub struct CartAnswer {
    /// The lines, ordered by SKU.
    #[schema(min_items = 1, max_items = 1000)]
    items: Vec<ItemAnswer>,
    /// The sum of count times price over all lines that have a price.
    #[schema(minimum = 0)]
    total_price: u64,
}

/// A line of a cart.
#[derive(Serialize, ToSchema)]
pub struct ItemAnswer {
    /// The SKU.
    #[schema(minimum = 1)]
    sku_id: u32,
    /// The product's name, from the product service. Empty if the product is unknown.
    name: String,
    /// The number of pieces.
    #[schema(minimum = 1)]
    count: u16,
    /// The price of one piece. 0 if the product is unknown.
    #[schema(minimum = 0)]
    price: u32,
    /// Present, and true, if the product service no longer knows the product. A cart with such an item
    /// cannot be checked out until the item is removed.
    #[serde(skip_serializing_if = "is_false")]
    #[schema(required = false)]
    unknown: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Why a request failed.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"code": "INVALID_ARGUMENT", "message": "count must be a whole number from 1 to 65535"}))]
pub struct ErrorAnswer {
    /// A stable code: `INVALID_ARGUMENT`, `NOT_FOUND`, `FAILED_PRECONDITION`, `CONFLICT`,
    /// `IDEMPOTENCY_KEY_REUSED`, `PAYLOAD_TOO_LARGE`, `UNSUPPORTED_MEDIA_TYPE`, `REQUEST_TIMEOUT`,
    /// `METHOD_NOT_ALLOWED`, `OVERLOADED`, `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `BAD_GATEWAY`,
    /// `INTERNAL`.
    pub code: String,
    /// A description for people.
    pub message: String,
    /// The SKUs of which too few can be sold, if that is why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<ErrorDetail>, required = false)]
    pub details: Vec<Detail>,
}

/// A SKU of which too few can be sold.
#[derive(ToSchema)]
#[schema(example = json!({"sku_id": 1002, "wanted": 5, "available": 3}))]
#[expect(dead_code, reason = "only the schema is used")]
struct ErrorDetail {
    /// The SKU.
    sku_id: u32,
    /// How many pieces were wanted. For an addition, this is what the cart would hold.
    wanted: u64,
    /// How many pieces can be sold. Null if the SKU is unknown.
    available: Option<u64>,
}

impl From<OrderId> for CheckoutAnswer {
    fn from(order: OrderId) -> Self {
        Self { order_id: order.get() }
    }
}

impl From<CartView> for CartAnswer {
    fn from(cart: CartView) -> Self {
        let items = cart.lines.iter().map(ItemAnswer::from).collect();
        Self { items, total_price: cart.total_price }
    }
}

impl From<&PricedLine> for ItemAnswer {
    fn from(PricedLine { line, product }: &PricedLine) -> Self {
        let product = product.as_ref();
        Self {
            sku_id: line.sku.get(),
            name: product.map(|product| product.name.clone()).unwrap_or_default(),
            count: line.count.get(),
            price: product.map(|product| product.price).unwrap_or_default(),
            unknown: product.is_none(),
        }
    }
}
