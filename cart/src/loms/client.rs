//! The gRPC client of loms. It has one connection, which is replaced when it stops answering.

use std::time::Duration;

use loms_proto::loms_client::LomsClient;
use loms_proto::{Item, Order, OrderCreateRequest, OrderInfoRequest, StocksInfoRequest};
use service_kit::error::{ErrorCode, log_failure};
use service_kit::grpc;
use service_kit::identity::TokenFile;
use service_kit::settings::Secret;
use service_kit::tls::ClientTls;
use shared_actors::deadline;
use shared_actors::health::Component;
use tokio::time::sleep;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Error};
use tonic::{Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use uuid::Uuid;

use super::LomsError;
use crate::domain::{Cart, Line, OrderId, Sku, UserId};

/// The health check detects a dead connection after these two together, even without other calls.
const PROBE_PERIOD: Duration = Duration::from_secs(1);
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// The state of an order that can no longer be paid, as loms spells it.
const CANCELLED: &str = "CANCELLED";

/// The address of loms, and the timeout of calls.
#[derive(Clone, Debug)]
pub struct LomsSettings {
    /// The gRPC address of loms, with or without its scheme.
    pub base_url: String,
    /// How the connection is secured if the scheme is `https`.
    pub tls: ClientTls,
    /// The token by which cart identifies itself where no user does.
    pub token: Option<TokenFile>,
    /// How long one call may take.
    pub timeout: Duration,
}

/// The client of loms. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Loms {
    link: grpc::Link,
    timeout: Duration,
    token: Option<TokenFile>,
    /// The token of the user on whose behalf it calls.
    user_token: Option<Secret>,
}

impl Loms {
    /// A client that connects on its first call. Must be called on the runtime that will run the
    /// connection.
    ///
    /// # Errors
    /// The URL is invalid.
    pub fn new(settings: &LomsSettings) -> Result<Self, Error> {
        let link = grpc::Link::to(&settings.base_url, &settings.tls)?;
        let (timeout, token) = (settings.timeout, settings.token.clone());
        Ok(Self { link, timeout, token, user_token: None })
    }

    /// The same client, calling on behalf of the user with this token.
    #[must_use]
    pub fn on_behalf_of(&self, user_token: Option<Secret>) -> Self {
        Self { user_token, ..self.clone() }
    }

    /// How many pieces of `sku` can be sold; 0 if loms does not know the SKU.
    ///
    /// # Errors
    /// `Overloaded`, `Unavailable`, `Unusable`, `DeadlineExceeded`, `Rejected`.
    pub async fn available(&self, sku: Sku) -> Result<u64, LomsError> {
        let request = StocksInfoRequest { sku: sku.get() };
        let answer = self.call("/Loms/StocksInfo", request, async |channel, request| {
            LomsClient::new(channel).stocks_info(request).await
        });
        match answer.await {
            Ok(stock) => Ok(stock.count),
            Err(LomsError::NotFound) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Creates the order of `lines` with the idempotency key `key`, or finds it again.
    ///
    /// # Errors
    /// `FailedPrecondition` if there is not enough stock. After `Overloaded`, `Unavailable`,
    /// `Unusable` and `DeadlineExceeded` the order may or may not exist.
    pub async fn create_order(
        &self,
        user: UserId,
        lines: &Cart,
        key: Uuid,
    ) -> Result<OrderId, LomsError> {
        let item = |line: Line| Item { sku: line.sku.get(), count: line.count.get().into() };
        let order = Order {
            user: user.get(),
            items: lines.lines().map(item).collect(),
            ..Order::default()
        };
        let request = OrderCreateRequest { order: Some(order), idempotency_key: key.to_string() };
        let answer = self.call("/Loms/OrderCreate", request, async |channel, request| {
            LomsClient::new(channel).order_create(request).await
        });
        Ok(OrderId::new(answer.await?.order_id))
    }

    /// Whether `order` was cancelled.
    ///
    /// # Errors
    /// `Overloaded`, `Unavailable`, `DeadlineExceeded`; `Unusable` if loms does not return an order
    /// that it has created.
    pub async fn is_cancelled(&self, order: OrderId) -> Result<bool, LomsError> {
        let request = OrderInfoRequest { order_id: order.get() };
        let answer = self.call("/Loms/OrderInfo", request, async |channel, request| {
            LomsClient::new(channel).order_info(request).await
        });
        match answer.await {
            Ok(info) => Ok(info.order.ok_or(LomsError::Unusable)?.status == CANCELLED),
            Err(
                LomsError::NotFound | LomsError::FailedPrecondition { .. } | LomsError::Rejected(_),
            ) => Err(LomsError::Unusable),
            Err(error) => Err(error),
        }
    }

    /// Checks the health of loms every second, and reports it to `component`. Runs until it is
    /// dropped.
    pub async fn watch(&self, component: Component) {
        loop {
            let request = HealthCheckRequest { service: String::new() };
            let check = self.link.send(request, async |channel, request| {
                HealthClient::new(channel).check(request).await
            });
            match deadline::scope(deadline::within(PROBE_TIMEOUT), check).await {
                Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => {
                    component.ready();
                }
                Ok(_) => component.waiting("not serving"),
                Err(status) => component.waiting(status.message()),
            }
            sleep(PROBE_PERIOD).await;
        }
    }

    async fn call<M, T>(
        &self,
        method: &'static str,
        message: M,
        send: impl AsyncFnOnce(Channel, Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, LomsError> {
        let token = self.user_token.clone().or_else(|| Some(self.token.as_ref()?.token()));
        let send = async |channel, mut request: Request<M>| {
            if let Some(token) = token.and_then(|token| bearer(&token)) {
                request.metadata_mut().insert("authorization", token);
            }
            send(channel, request).await
        };
        let answer = deadline::scope(
            deadline::within(self.timeout),
            grpc::call(&self.link, method, message, send),
        );
        answer.await.map_err(|status| {
            let error = LomsError::from(&status);
            if error == LomsError::Denied {
                // Only an operator can mend this, and clients are only told of a bad gateway.
                let token = match self.user_token {
                    Some(_) => "the token of the caller",
                    None => "the token in LOMS_TOKEN_FILE",
                };
                let reason = status.message();
                log_failure(
                    ErrorCode::PermissionDenied,
                    format_args!("loms does not accept {token} for {method}: {reason}"),
                );
            }
            if !matches!(error, LomsError::NotFound | LomsError::FailedPrecondition { .. }) {
                let code = grpc::code_name(status.code());
                tracing::debug!(method, code, message = status.message(), "a call to loms failed");
            }
            error
        })
    }
}

fn bearer(token: &Secret) -> Option<MetadataValue<Ascii>> {
    let mut value: MetadataValue<Ascii> = format!("Bearer {}", token.expose()).parse().ok()?;
    value.set_sensitive(true);
    Some(value)
}
