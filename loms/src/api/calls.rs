//! The calls of the API, as both front-ends make them: one message in, one message out.

use service_kit::identity::Caller;
use shared_actors::trace;

use crate::domain::{Failure, NewOrder, Order, OrderError, OrderId, Restock, Sku, StockError};
use crate::orders::Orders;
use crate::stock::Stocks;

use super::list::{Encoded, List, gather};
use super::proto;
use super::request::merge_key;

/// Name of the gRPC metadata entry or HTTP header that carries an idempotency key.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The scope of tokens that may list all orders and change the stock.
const OPERATOR: &str = "shop.operator";
/// The scope of tokens of services, which act for any user.
const ANY_USER: &str = "shop.any-user";

/// The calls of the service. Cheap to clone.
///
/// They check what the caller may do: a user may only touch its own orders.
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
        caller: &Caller,
        mut request: proto::OrderCreateRequest,
        keys: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<proto::OrderCreateResponse, OrderError> {
        merge_key(&mut request.idempotency_key, keys)?;
        let order = NewOrder { traceparent: trace::traceparent(), ..NewOrder::try_from(request)? };
        caller.is_user_or_has(order.user.get(), ANY_USER)?;
        let id = self.orders.create(order).await?;
        Ok(proto::OrderCreateResponse { order_id: id.get() })
    }

    pub async fn order_info(
        &self,
        caller: &Caller,
        request: proto::OrderInfoRequest,
    ) -> Result<proto::OrderInfoResponse, OrderError> {
        let order = self.orders.info(OrderId::try_from(request.order_id)?).await?;
        is_shown(caller, &order)?;
        Ok(proto::OrderInfoResponse { order: Some(order.into()) })
    }

    pub async fn order_pay(
        &self,
        caller: &Caller,
        request: proto::OrderPayRequest,
    ) -> Result<(), OrderError> {
        self.orders.pay(self.own(caller, request.order_id).await?).await
    }

    pub async fn order_cancel(
        &self,
        caller: &Caller,
        request: proto::OrderCancelRequest,
    ) -> Result<(), OrderError> {
        self.orders.cancel(self.own(caller, request.order_id).await?).await
    }

    /// The id of an order that the caller may change. The user of an order never changes, so it can
    /// be read first.
    async fn own(&self, caller: &Caller, id: i64) -> Result<OrderId, OrderError> {
        let id = OrderId::try_from(id)?;
        if caller.is_identified() && caller.has(ANY_USER).is_err() {
            is_shown(caller, &self.orders.info(id).await?)?;
        }
        Ok(id)
    }

    /// Lists orders. `encode` writes one order in the format of the front-end.
    pub async fn orders_all<T>(
        &self,
        caller: &Caller,
        request: proto::OrdersAllRequest,
        encode: impl Fn(proto::Order) -> Result<Encoded<T>, Failure>,
    ) -> Result<List<T>, OrderError> {
        caller.has(OPERATOR)?;
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
        caller: &Caller,
        mut request: proto::StocksRestockRequest,
        keys: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<proto::StocksRestockResponse, StockError> {
        caller.has(OPERATOR)?;
        merge_key(&mut request.idempotency_key, keys)?;
        let restock = Restock { traceparent: trace::traceparent(), ..Restock::try_from(request)? };
        Ok(self.stocks.restock(restock).await?.try_into()?)
    }
}

/// Whether the caller may know of `order`. To others, it does not exist.
fn is_shown(caller: &Caller, order: &Order) -> Result<(), OrderError> {
    let is_own = caller.is_user_or_has(order.user.get(), ANY_USER).is_ok();
    if is_own || caller.has(OPERATOR).is_ok() {
        Ok(())
    } else {
        Err(OrderError::NotFound(order.id))
    }
}
