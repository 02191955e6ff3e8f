//! The gRPC client of loms, in the terms of the tests.

use tonic::Status;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt;

use super::proto::loms_client;
use super::proto::{
    Item, Order, OrderAllResponse, OrderCancelRequest, OrderCreateRequest, OrderInfoRequest,
    OrderPayRequest, OrdersAllRequest, StocksInfoRequest, StocksRestockRequest,
};

/// A client of loms. Cheap to clone; clones share one connection.
#[derive(Debug, Clone)]
pub struct LomsClient {
    channel: Channel,
    metadata: MetadataMap,
}

impl LomsClient {
    /// A client that connects on its first call.
    pub fn new(port: u16) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        Self { channel: endpoint.connect_lazy(), metadata: MetadataMap::new() }
    }

    /// The channel, for services other than the shop's.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The same client, which adds one more metadata entry to each call.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.metadata.insert(name, value.parse().unwrap());
        self
    }

    /// Creates an order for these `(sku, count)` lines and returns its id.
    pub async fn create(&self, user: i64, lines: &[(u32, u32)]) -> Result<i64, Status> {
        self.create_keyed(user, lines, "").await
    }

    /// Creates an order under an idempotency key and returns its id.
    pub async fn create_keyed(
        &self,
        user: i64,
        lines: &[(u32, u32)],
        key: &str,
    ) -> Result<i64, Status> {
        let order = Order { user, items: items(lines), ..Order::default() };
        self.send(OrderCreateRequest { order: Some(order), idempotency_key: key.to_owned() }).await
    }

    /// Sends a create request unchanged.
    pub async fn send(&self, request: OrderCreateRequest) -> Result<i64, Status> {
        Ok(self.stub().order_create(self.request(request)).await?.into_inner().order_id)
    }

    /// Reads an order.
    pub async fn info(&self, order_id: i64) -> Result<Order, Status> {
        let response = self.stub().order_info(self.request(OrderInfoRequest { order_id })).await?;
        Ok(response.into_inner().order.expect("OrderInfo answers an order"))
    }

    /// The state of an order, which must exist.
    pub async fn state(&self, order_id: i64) -> String {
        self.info(order_id).await.unwrap().status
    }

    /// Pays an order.
    pub async fn pay(&self, order_id: i64) -> Result<(), Status> {
        self.stub().order_pay(self.request(OrderPayRequest { order_id })).await.map(drop)
    }

    /// Cancels an order.
    pub async fn cancel(&self, order_id: i64) -> Result<(), Status> {
        self.stub().order_cancel(self.request(OrderCancelRequest { order_id })).await.map(drop)
    }

    /// The number of pieces of a SKU that can be sold.
    pub async fn available(&self, sku: u32) -> Result<u64, Status> {
        Ok(self
            .stub()
            .stocks_info(self.request(StocksInfoRequest { sku }))
            .await?
            .into_inner()
            .count)
    }

    /// Adds pieces to a SKU. Returns `(total, reserved)` right afterwards.
    pub async fn restock(&self, sku: u32, count: i64, key: &str) -> Result<(u64, u64), Status> {
        let request = StocksRestockRequest { sku, count, idempotency_key: key.to_owned() };
        let level = self.stub().stocks_restock(self.request(request)).await?.into_inner();
        Ok((level.total, level.reserved))
    }

    /// The first page of all orders.
    pub async fn all(&self) -> Result<Vec<Order>, Status> {
        Ok(self.page(0, "").await?.orders)
    }

    /// A page of all orders.
    pub async fn page(&self, page_size: u32, page_token: &str) -> Result<OrderAllResponse, Status> {
        let request = OrdersAllRequest { page_size, page_token: page_token.to_owned() };
        self.stub().orders_all(self.request(request)).await.map(tonic::Response::into_inner)
    }

    fn stub(&self) -> loms_client::LomsClient<Channel> {
        loms_client::LomsClient::new(self.channel.clone()).max_decoding_message_size(64 << 20)
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        request
    }
}

/// Items for these `(sku, count)` lines.
pub fn items(lines: &[(u32, u32)]) -> Vec<Item> {
    lines.iter().map(|&(sku, count)| Item { sku, count }).collect()
}

/// The field that the error's `google.rpc.BadRequest` names. Empty if it names none.
pub fn field_at_fault(status: &Status) -> String {
    let violations = status.get_details_bad_request().map(|details| details.field_violations);
    violations
        .unwrap_or_default()
        .into_iter()
        .next()
        .map(|violation| violation.field)
        .unwrap_or_default()
}
