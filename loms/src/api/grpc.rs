//! The gRPC front-end: unwraps the message, makes the call, and wraps the answer.

use prost::Message;
use prost::encoding::key_len;
use prost::length_delimiter_len;
use service_kit::error::ServiceError;
use service_kit::grpc::status;
use service_kit::identity::Caller;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::service::Routes;
use tonic::{Extensions, Request, Response, Status, async_trait};

use crate::orders::Orders;
use crate::stock::Stocks;

use super::calls::{Calls, IDEMPOTENCY_KEY};
use super::list::{Encoded, List};
use super::proto::loms_server::{Loms, LomsServer};
use super::{REQUEST_LIMIT_BYTES, proto};

/// The field number of `OrderAllResponse.orders`.
const ORDERS_FIELD: u32 = 1;

/// The gRPC service, ready to be mounted in a server.
pub fn routes(orders: Orders, stocks: Stocks) -> Routes {
    let service = LomsServer::new(LomsService(Calls::new(orders, stocks)));
    let service = service.max_decoding_message_size(REQUEST_LIMIT_BYTES);
    // The size limit applies to decompressed messages, too.
    Routes::new(service.accept_compressed(CompressionEncoding::Gzip))
}

struct LomsService(Calls);

#[async_trait]
impl Loms for LomsService {
    async fn order_create(
        &self,
        request: Request<proto::OrderCreateRequest>,
    ) -> Result<Response<proto::OrderCreateResponse>, Status> {
        let (metadata, extensions, message) = request.into_parts();
        let caller = caller(&extensions)?;
        answer(self.0.order_create(&caller, message, keys(&metadata)).await)
    }

    async fn order_info(
        &self,
        request: Request<proto::OrderInfoRequest>,
    ) -> Result<Response<proto::OrderInfoResponse>, Status> {
        let caller = caller(request.extensions())?;
        answer(self.0.order_info(&caller, request.into_inner()).await)
    }

    async fn order_pay(
        &self,
        request: Request<proto::OrderPayRequest>,
    ) -> Result<Response<()>, Status> {
        let caller = caller(request.extensions())?;
        answer(self.0.order_pay(&caller, request.into_inner()).await)
    }

    async fn order_cancel(
        &self,
        request: Request<proto::OrderCancelRequest>,
    ) -> Result<Response<()>, Status> {
        let caller = caller(request.extensions())?;
        answer(self.0.order_cancel(&caller, request.into_inner()).await)
    }

    async fn orders_all(
        &self,
        request: Request<proto::OrdersAllRequest>,
    ) -> Result<Response<proto::OrderAllResponse>, Status> {
        let caller = caller(request.extensions())?;
        let list = self.0.orders_all(&caller, request.into_inner(), |order| {
            let bytes = key_len(ORDERS_FIELD)
                + length_delimiter_len(order.encoded_len())
                + order.encoded_len();
            Ok(Encoded { order, bytes })
        });
        let answered = list.await.map(|List { orders, next_page_token }| proto::OrderAllResponse {
            orders,
            next_page_token,
        });
        answer(answered)
    }

    async fn stocks_info(
        &self,
        request: Request<proto::StocksInfoRequest>,
    ) -> Result<Response<proto::StocksInfoResponse>, Status> {
        answer(self.0.stocks_info(request.into_inner()).await)
    }

    async fn stocks_restock(
        &self,
        request: Request<proto::StocksRestockRequest>,
    ) -> Result<Response<proto::StocksRestockResponse>, Status> {
        let (metadata, extensions, message) = request.into_parts();
        let caller = caller(&extensions)?;
        answer(self.0.stocks_restock(&caller, message, keys(&metadata)).await)
    }
}

/// The caller, which the front end has put there.
fn caller(extensions: &Extensions) -> Result<Caller, Status> {
    extensions.get().cloned().ok_or_else(|| Status::internal("internal error"))
}

/// The idempotency keys in the metadata of the request.
fn keys(metadata: &MetadataMap) -> impl Iterator<Item = &[u8]> {
    metadata.get_all(IDEMPOTENCY_KEY).into_iter().map(MetadataValue::as_bytes)
}

fn answer<T>(result: Result<T, impl ServiceError>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|error| status(&error))
}
