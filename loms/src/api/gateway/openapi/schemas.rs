//! The messages as the gateway's JSON shows them. Only their schemas are used; the JSON itself is made from the
//! descriptors of `proto/loms.proto`.

#![expect(dead_code, reason = "only the schemas are used")]

use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{IntoParams, ToSchema};

/// The header of a create and of a restock.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IdempotencyHeader {
    /// Makes retries safe: a request that is sent again under its key is carried out once. The key of a create belongs to
    /// its user and is remembered for 7 days unless the server is told otherwise; that of a restock is required, belongs to
    /// the whole stock and is never forgotten. The same as `idempotencyKey` in the body; where both are given they must be
    /// equal.
    #[param(
        rename = "Idempotency-Key",
        required = false,
        min_length = 1,
        max_length = 128,
        pattern = "^[!-~]([ -~]*[!-~])?$"
    )]
    key: String,
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct PageParameters {
    /// The most orders to answer; more than 1,000 means 1,000. 0 means as many as fit into 3 MiB, which no answer exceeds. A
    /// page may hold fewer although more follow. Also read as `page_size`.
    #[param(required = false, minimum = 0, maximum = 4_294_967_295_u32, format = "uint32", example = 50)]
    page_size: u32,
    /// The `nextPageToken` of the page before. Also read as `page_token`.
    #[param(required = false, pattern = "^([1-9][0-9]{0,17})?$", example = "1000")]
    page_token: String,
}

/// Asks for an order to be created.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct OrderCreateRequest {
    order: NewOrder,
    /// Makes retries safe; the same as the header `Idempotency-Key`. Empty: no key.
    #[schema(max_length = 128, pattern = "^[ -~]*$", example = "")]
    idempotency_key: Option<String>,
}

/// Who wants what. `status` and `id` may be there and are ignored.
#[derive(ToSchema)]
#[schema(example = json!({"user": 1, "items": [{"sku": 1002, "count": 1}]}))]
pub struct NewOrder {
    /// The user, a number of 64 bits above 0.
    #[schema(schema_with = user)]
    user: i64,
    /// At least one; at most 1,000 different SKUs. Items of one SKU are summed, and the sum must fit 32 bits.
    #[schema(min_items = 1)]
    items: Vec<NewItem>,
}

/// A number of pieces of one SKU.
#[derive(ToSchema)]
#[schema(example = json!({"sku": 1002, "count": 1}))]
pub struct NewItem {
    /// The stock keeping unit, a number of 32 bits above 0.
    #[schema(schema_with = number_of_32_bits)]
    sku: u32,
    /// How many pieces, a number of 32 bits above 0.
    #[schema(schema_with = number_of_32_bits)]
    count: u32,
}

/// The order that was created.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct OrderCreateResponse {
    /// Its number.
    #[schema(format = "int64", pattern = "^[1-9][0-9]*$", example = "1000")]
    order_id: String,
}

/// One order.
#[derive(ToSchema)]
pub struct OrderInfoResponse {
    order: Order,
}

/// A page of orders.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct OrderAllResponse {
    /// Newest id first.
    orders: Vec<Order>,
    /// Asks for the page after this one, as `pageToken`; empty on the last.
    #[schema(example = "1000")]
    next_page_token: String,
}

/// An order as it stands.
#[derive(ToSchema)]
pub struct Order {
    /// How far the order has come.
    status: Status,
    /// The user whose order it is.
    #[schema(format = "int64", pattern = "^[1-9][0-9]*$", example = "1")]
    user: String,
    /// What is ordered, by rising SKU.
    #[schema(min_items = 1, max_items = 1000)]
    items: Vec<Item>,
    /// The order's number.
    #[schema(format = "int64", pattern = "^[1-9][0-9]*$", example = "1000")]
    id: String,
}

/// How far an order has come.
#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE", example = "AWAITING_PAYMENT")]
enum Status {
    New,
    AwaitingPayment,
    Failed,
    Payed,
    Cancelled,
}

/// A number of pieces of one SKU.
#[derive(ToSchema)]
pub struct Item {
    /// The stock keeping unit.
    #[schema(minimum = 1, maximum = 4_294_967_295_u32, example = 1002)]
    sku: u32,
    /// How many pieces.
    #[schema(minimum = 1, maximum = 4_294_967_295_u32, example = 1)]
    count: u32,
}

/// What can be sold of a SKU.
#[derive(ToSchema)]
pub struct StocksInfoResponse {
    /// How many pieces are in stock and not reserved.
    #[schema(format = "uint64", pattern = "^[0-9]+$", example = "180")]
    count: String,
}

/// Asks for pieces to be added to the stock of a SKU, or taken away.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"count": 100, "idempotencyKey": "delivery-7"}))]
pub struct StocksRestockRequest {
    /// How many pieces come, or go if it is below 0; a number of 64 bits, not 0.
    #[schema(schema_with = change)]
    count: i64,
    /// Makes retries safe; the same as the header `Idempotency-Key`. One of the two must be given.
    #[schema(max_length = 128, pattern = "^[ -~]*$")]
    idempotency_key: Option<String>,
}

/// What there was of the SKU right after the restock.
#[derive(ToSchema)]
pub struct StocksRestockResponse {
    /// How many pieces were there, reserved ones included.
    #[schema(format = "uint64", pattern = "^[0-9]+$", example = "300")]
    total: String,
    /// How many of them were reserved.
    #[schema(format = "uint64", pattern = "^[0-9]+$", example = "20")]
    reserved: String,
}

/// An object without members of its own.
#[derive(ToSchema)]
#[schema(example = json!({}))]
pub struct Empty {}

fn user() -> Schema {
    number_or_string("int64", i64::MAX, "^[1-9][0-9]{0,17}$")
}

fn change() -> Schema {
    let format = Some(SchemaFormat::Custom("int64".to_owned()));
    let number = ObjectBuilder::new().schema_type(Type::Integer).format(format);
    let string = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^-?[1-9][0-9]{0,17}$"));
    AnyOfBuilder::new().item(number).item(string).build().into()
}

fn number_of_32_bits() -> Schema {
    number_or_string("uint32", u32::MAX.into(), "^[1-9][0-9]{0,8}$")
}

fn number_or_string(format: &str, maximum: i64, digits: &str) -> Schema {
    let number =
        ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::Custom(format.to_owned())));
    let string = ObjectBuilder::new().schema_type(Type::String).pattern(Some(digits));
    AnyOfBuilder::new().item(number.minimum(Some(1)).maximum(Some(maximum))).item(string).build().into()
}
