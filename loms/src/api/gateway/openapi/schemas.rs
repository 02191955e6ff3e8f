//! The messages as they appear in the gateway's JSON. Only the schemas are used; the JSON itself is
//! generated from the descriptors of `proto/loms.proto`.

#![expect(dead_code, reason = "only the schemas are used")]

use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{IntoParams, ToSchema};

/// The header of create and restock requests.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IdempotencyHeader {
    /// Makes retries safe: requests with the same key are carried out once. Same as
    /// `idempotencyKey` in the body; if both are given, they must be equal. The key of a create is
    /// scoped to its user. It expires after 7 days unless the server is configured otherwise. The
    /// key of a restock is required, is scoped to the whole stock, and never expires.
    #[param(
        rename = "Idempotency-Key",
        required = false,
        min_length = 1,
        max_length = 128,
        pattern = "^[!-~]([ -~]*[!-~])?$"
    )]
    key: String,
}

/// Selects a page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct PageParameters {
    /// Maximum number of orders; values above 1,000 are treated as 1,000. 0 means as many as fit
    /// into 3 MiB, the limit of every response. A page may contain fewer orders even if more
    /// follow. Also accepted as `page_size`.
    #[param(
        required = false,
        minimum = 0,
        maximum = 4_294_967_295_u32,
        format = "uint32",
        example = 50
    )]
    page_size: u32,
    /// The `nextPageToken` of the previous page. Also accepted as `page_token`.
    #[param(required = false, pattern = "^([1-9][0-9]{0,17})?$", example = "1000")]
    page_token: String,
}

/// A request to create an order.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct OrderCreateRequest {
    order: NewOrder,
    /// Makes retries safe. Same as the header `Idempotency-Key`. Empty means no key.
    #[schema(max_length = 128, pattern = "^[ -~]*$", example = "")]
    idempotency_key: Option<String>,
}

/// The order to create. `status` and `id` may be present and are ignored.
#[derive(ToSchema)]
#[schema(example = json!({"user": 1, "items": [{"sku": 1002, "count": 1}]}))]
pub struct NewOrder {
    /// The user: a positive 64-bit number.
    #[schema(schema_with = user)]
    user: i64,
    /// At least one item and at most 1,000 different SKUs. Counts of the same SKU are summed; the
    /// sum must fit into 32 bits.
    #[schema(min_items = 1)]
    items: Vec<NewItem>,
}

/// A number of pieces of one SKU.
#[derive(ToSchema)]
#[schema(example = json!({"sku": 1002, "count": 1}))]
pub struct NewItem {
    /// The stock keeping unit: a positive 32-bit number.
    #[schema(schema_with = number_of_32_bits)]
    sku: u32,
    /// The number of pieces: a positive 32-bit number.
    #[schema(schema_with = number_of_32_bits)]
    count: u32,
}

/// The order that was created.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct OrderCreateResponse {
    /// The id of the order.
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
    /// Send it as `pageToken` to get the next page. Empty on the last page.
    #[schema(example = "1000")]
    next_page_token: String,
}

/// An order in its current state.
#[derive(ToSchema)]
pub struct Order {
    /// The state of the order.
    status: Status,
    /// The user who placed the order.
    #[schema(format = "int64", pattern = "^[1-9][0-9]*$", example = "1")]
    user: String,
    /// The ordered items, in ascending order of SKU.
    #[schema(min_items = 1, max_items = 1000)]
    items: Vec<Item>,
    /// The id of the order.
    #[schema(format = "int64", pattern = "^[1-9][0-9]*$", example = "1000")]
    id: String,
}

/// The state of an order.
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
    /// The number of pieces.
    #[schema(minimum = 1, maximum = 4_294_967_295_u32, example = 1)]
    count: u32,
}

/// How much of a SKU can be sold.
#[derive(ToSchema)]
pub struct StocksInfoResponse {
    /// The number of pieces in stock that are not reserved.
    #[schema(format = "uint64", pattern = "^[0-9]+$", example = "180")]
    count: String,
}

/// A request to add pieces to the stock of a SKU, or to remove them.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({"count": 100, "idempotencyKey": "delivery-7"}))]
pub struct StocksRestockRequest {
    /// The number of pieces to add, or to remove if negative. A 64-bit number other than 0.
    #[schema(schema_with = change)]
    count: i64,
    /// Makes retries safe. Same as the header `Idempotency-Key`. One of the two is required.
    #[schema(max_length = 128, pattern = "^[ -~]*$")]
    idempotency_key: Option<String>,
}

/// The level of the SKU right after the restock.
#[derive(ToSchema)]
pub struct StocksRestockResponse {
    /// The number of pieces, including reserved ones.
    #[schema(format = "uint64", pattern = "^[0-9]+$", example = "300")]
    total: String,
    /// The number of reserved pieces among them.
    #[schema(format = "uint64", pattern = "^[0-9]+$", example = "20")]
    reserved: String,
}

/// An empty object.
#[derive(ToSchema)]
#[schema(example = json!({}))]
pub struct Empty {}

fn user() -> Schema {
    number_or_string("int64", i64::MAX, "^[1-9][0-9]{0,17}$")
}

fn change() -> Schema {
    let format = Some(SchemaFormat::Custom("int64".to_owned()));
    let number = ObjectBuilder::new().schema_type(Type::Integer).format(format);
    let string =
        ObjectBuilder::new().schema_type(Type::String).pattern(Some("^-?[1-9][0-9]{0,17}$"));
    AnyOfBuilder::new().item(number).item(string).build().into()
}

fn number_of_32_bits() -> Schema {
    number_or_string("uint32", u32::MAX.into(), "^[1-9][0-9]{0,8}$")
}

fn number_or_string(format: &str, maximum: i64, digits: &str) -> Schema {
    let number = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::Custom(format.to_owned())));
    let string = ObjectBuilder::new().schema_type(Type::String).pattern(Some(digits));
    AnyOfBuilder::new()
        .item(number.minimum(Some(1)).maximum(Some(maximum)))
        .item(string)
        .build()
        .into()
}
