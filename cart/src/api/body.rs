//! The JSON of requests and answers.

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::carts::{CartView, PricedLine};
use crate::domain::OrderId;

/// The header of a POST.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header")]
pub struct IdempotencyHeader {
    /// Makes a retry safe: the same key, route and body give the first answer again.
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
    /// A whole number of pieces.
    #[schema(minimum = 1, maximum = 65535)]
    #[expect(dead_code, reason = "describes the body; it is read member by member to name the one at fault")]
    count: u16,
}

/// Whose cart to order. Other members are ignored.
#[derive(ToSchema)]
#[schema(as = CheckoutRequest, example = json!({"user": 31_337}))]
pub struct CheckoutRequest {
    /// The user.
    #[schema(minimum = 1)]
    #[expect(dead_code, reason = "describes the body; it is read member by member to name the one at fault")]
    user: i64,
}

/// Nothing to say but success.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({}))]
pub struct Done {}

/// The order that was made of the cart.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"orderID": 1000}))]
pub struct CheckoutAnswer {
    /// The number of the order in loms.
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
    /// The lines, by SKU.
    #[schema(min_items = 1, max_items = 1000)]
    items: Vec<ItemAnswer>,
    /// The sum over the lines of count times price.
    #[schema(minimum = 0)]
    total_price: u64,
}

/// A line of a cart.
#[derive(Serialize, ToSchema)]
pub struct ItemAnswer {
    /// The SKU.
    #[schema(minimum = 1)]
    sku_id: u32,
    /// Its name, as the product service has it.
    name: String,
    /// How many pieces.
    #[schema(minimum = 1)]
    count: u16,
    /// The price of one piece.
    #[schema(minimum = 0)]
    price: u32,
}

/// Why a request was not done.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"code": "INVALID_ARGUMENT", "message": "count must be a whole number from 1 to 65535"}))]
pub struct ErrorAnswer {
    /// A stable name of the outcome: `INVALID_ARGUMENT`, `NOT_FOUND`, `FAILED_PRECONDITION`, `CONFLICT`,
    /// `IDEMPOTENCY_KEY_REUSED`, `PAYLOAD_TOO_LARGE`, `UNSUPPORTED_MEDIA_TYPE`, `REQUEST_TIMEOUT`, `METHOD_NOT_ALLOWED`, `OVERLOADED`, `UNAVAILABLE`,
    /// `DEADLINE_EXCEEDED`, `BAD_GATEWAY`, `INTERNAL`.
    pub code: String,
    /// For people.
    pub message: String,
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
        Self {
            sku_id: line.sku.get(),
            name: product.name.clone(),
            count: line.count.get(),
            price: product.price,
        }
    }
}
