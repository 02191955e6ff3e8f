//! The calls of the API, as both front-ends make them: one message in, one message out.

use shared_actors::trace;

use crate::domain::{Failure, NewOrder, OrderError, OrderId, Restock, Sku, StockError};
use crate::orders::Orders;
use crate::stock::Stocks;

use super::list::{Encoded, List, gather};
use super::proto;
use super::request::merge_key;

/// Name of the gRPC metadata entry or HTTP header that carries an idempotency key.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The calls of the service. Cheap to clone.
#[derive(Clone)]
pub struct Calls {
    orders: Orders,
    stocks: Stocks,
}

impl Calls {
    pub const fn new(orders: Orders, stocks: Stocks) -> Self {
        Self { orders, stocks }
    }

    /// Creates an order. `keys` are the values of [`IDEMPOTENCY_KEY`] sent with the request.
    pub async fn order_create<'a>(
        &self,
        mut request: proto::OrderCreateRequest,
        keys: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<proto::OrderCreateResponse, OrderError> {
        merge_key(&mut request.idempotency_key, keys)?;
        let order = NewOrder { traceparent: trace::traceparent(), ..NewOrder::try_from(request)? };
        let id = self.orders.create(order).await?;
        Ok(proto::OrderCreateResponse { order_id: id.get() })
    }

    pub async fn order_info(
        &self,
        request: proto::OrderInfoRequest,
    ) -> Result<proto::OrderInfoResponse, OrderError> {
        let order = self.orders.info(OrderId::try_from(request.order_id)?).await?;
        Ok(proto::OrderInfoResponse { order: Some(order.into()) })
    }

    pub async fn order_pay(&self, request: proto::OrderPayRequest) -> Result<(), OrderError> {
        self.orders.pay(OrderId::try_from(request.order_id)?).await
    }

    pub async fn order_cancel(&self, request: proto::OrderCancelRequest) -> Result<(), OrderError> {
        self.orders.cancel(OrderId::try_from(request.order_id)?).await
    }

    /// Lists orders. `encode` writes one order in the format of the front-end.
    pub async fn orders_all<T>(
        &self,
        request: proto::OrdersAllRequest,
        encode: impl Fn(proto::Order) -> Result<Encoded<T>, Failure>,
    ) -> Result<List<T>, OrderError> {
        gather(&self.orders, request.try_into()?, |order| encode(order.into())).await
    }

    pub async fn stocks_info(
        &self,
        request: proto::StocksInfoRequest,
    ) -> Result<proto::StocksInfoResponse, StockError> {
        let count = self.stocks.available(Sku::try_from(request.sku)?).await?;
        Ok(proto::StocksInfoResponse { count })
    }

    /// Adds or removes stock. `keys` are the values of [`IDEMPOTENCY_KEY`] sent with the request.
    pub async fn stocks_restock<'a>(
        &self,
        mut request: proto::StocksRestockRequest,
        keys: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<proto::StocksRestockResponse, StockError> {
        merge_key(&mut request.idempotency_key, keys)?;
        let restock = Restock { traceparent: trace::traceparent(), ..Restock::try_from(request)? };
        Ok(self.stocks.restock(restock).await?.try_into()?)
    }
}
