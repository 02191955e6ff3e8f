//! A stand-in for loms that keeps orders by their key in memory and fails in the ways that a test
//! requests.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use loms_proto::loms_server::{Loms, LomsServer};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

/// The outcome of one `OrderCreate`.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// The order is not created. The call ends with this code.
    Refused(Code),
    /// The order is created, but the call ends with this code.
    AnswerLost(Code),
    /// The order is created, but the call is never answered.
    Silence,
}

/// An order that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedOrder {
    pub id: i64,
    pub user: i64,
    pub items: Vec<(u32, u32)>,
}

#[derive(Default)]
struct State {
    stocks: HashMap<u32, u64>,
    fates: VecDeque<Fate>,
    refused_users: HashMap<i64, Code>,
    cancelled: HashSet<i64>,
    orders: HashMap<String, PlacedOrder>,
    keys_asked: Vec<String>,
}

struct Shared {
    state: Mutex<State>,
    /// While this is true, `OrderCreate` waits.
    held: watch::Sender<bool>,
}

/// A running stand-in. Dropping it stops it.
pub struct LomsStandIn {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

impl LomsStandIn {
    pub async fn start() -> Self {
        let shared = Arc::new(Shared { state: Mutex::default(), held: watch::Sender::new(false) });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let service = LomsServer::from_arc(Arc::clone(&shared));
        tokio::spawn(async move {
            let stopped = async move {
                let _ = stopped.await;
            };
            let serving = Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener));
            tokio::select! {
                ended = serving => ended.unwrap(),
                () = stopped => {}
            }
        });
        Self { address, shared, _stop: stop }
    }

    pub fn stock(&self, sku: u32, count: u64) {
        self.state().stocks.insert(sku, count);
    }

    /// Sets the outcomes of the next calls of `OrderCreate`, one for each call.
    pub fn next(&self, fates: impl IntoIterator<Item = Fate>) {
        self.state().fates.extend(fates);
    }

    /// Makes `OrderCreate` wait, or lets it proceed.
    pub fn hold(&self, hold: bool) {
        self.shared.held.send_replace(hold);
    }

    /// Makes every `OrderCreate` of `user` end with this code. `None` lifts that.
    pub fn refuse_user(&self, user: i64, code: Option<Code>) {
        let mut state = self.state();
        match code {
            Some(code) => state.refused_users.insert(user, code),
            None => state.refused_users.remove(&user),
        };
    }

    /// Makes the order read as CANCELLED. It need not exist yet.
    pub fn cancel(&self, order: i64) {
        self.state().cancelled.insert(order);
    }

    pub fn orders(&self) -> Vec<PlacedOrder> {
        let mut orders: Vec<_> = self.state().orders.values().cloned().collect();
        orders.sort_by_key(|order| order.id);
        orders
    }

    /// The keys of all calls of `OrderCreate`, oldest first.
    pub fn keys_asked(&self) -> Vec<String> {
        self.state().keys_asked.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Loms for Shared {
    async fn order_create(
        &self,
        request: Request<loms_proto::OrderCreateRequest>,
    ) -> Answer<loms_proto::OrderCreateResponse> {
        let loms_proto::OrderCreateRequest { order, idempotency_key: key } = request.into_inner();
        let order = order.unwrap();
        let fate = {
            let mut state = self.state.lock().unwrap();
            state.keys_asked.push(key.clone());
            let refused = state.refused_users.get(&order.user).copied().map(Fate::Refused);
            refused.or_else(|| state.fates.pop_front())
        };
        let _ = self.held.subscribe().wait_for(|held| !held).await;
        if let Some(Fate::Refused(code)) = fate {
            return Err(Status::new(code, "refused by the test"));
        }
        let items: Vec<_> = order.items.iter().map(|item| (item.sku, item.count)).collect();
        let order_id = {
            let mut state = self.state.lock().unwrap();
            let id = 1000 + 1000 * i64::try_from(state.orders.len()).unwrap();
            let placed = PlacedOrder { id, user: order.user, items: items.clone() };
            let placed = state.orders.entry(key).or_insert(placed);
            assert_eq!(placed.items, items, "one key, one order");
            placed.id
        };
        match fate {
            Some(Fate::AnswerLost(code)) => Err(Status::new(code, "lost by the test")),
            Some(Fate::Silence) => {
                tokio::time::sleep(Duration::from_hours(1)).await;
                Err(Status::cancelled("nobody waits so long"))
            }
            _ => Ok(Response::new(loms_proto::OrderCreateResponse { order_id })),
        }
    }

    async fn stocks_info(
        &self,
        request: Request<loms_proto::StocksInfoRequest>,
    ) -> Answer<loms_proto::StocksInfoResponse> {
        let count = self.state.lock().unwrap().stocks.get(&request.into_inner().sku).copied();
        let count = count.ok_or_else(|| Status::not_found("no such SKU"))?;
        Ok(Response::new(loms_proto::StocksInfoResponse { count }))
    }

    async fn order_info(
        &self,
        request: Request<loms_proto::OrderInfoRequest>,
    ) -> Answer<loms_proto::OrderInfoResponse> {
        let id = request.into_inner().order_id;
        let state = self.state.lock().unwrap();
        let placed = state.orders.values().find(|placed| placed.id == id);
        let placed = placed.ok_or_else(|| Status::not_found("no such order"))?;
        let status = if state.cancelled.contains(&id) { "CANCELLED" } else { "AWAITING_PAYMENT" };
        let order = loms_proto::Order {
            id,
            user: placed.user,
            status: status.to_owned(),
            ..Default::default()
        };
        Ok(Response::new(loms_proto::OrderInfoResponse { order: Some(order) }))
    }

    async fn order_pay(&self, _: Request<loms_proto::OrderPayRequest>) -> Answer<()> {
        Err(Status::unimplemented("not asked by carts"))
    }

    async fn order_cancel(&self, _: Request<loms_proto::OrderCancelRequest>) -> Answer<()> {
        Err(Status::unimplemented("not asked by carts"))
    }

    async fn orders_all(
        &self,
        _: Request<loms_proto::OrdersAllRequest>,
    ) -> Answer<loms_proto::OrderAllResponse> {
        Err(Status::unimplemented("not asked by carts"))
    }

    async fn stocks_restock(
        &self,
        _: Request<loms_proto::StocksRestockRequest>,
    ) -> Answer<loms_proto::StocksRestockResponse> {
        Err(Status::unimplemented("not asked by carts"))
    }
}
