//! Servers that answer the same bytes as loms and cart, and do nothing else: the limits of reads.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Result;
use loms_proto::loms_server::{Loms, LomsServer};
use loms_proto::{
    Item, Order, OrderAllResponse, OrderCancelRequest, OrderCreateRequest, OrderCreateResponse,
    OrderInfoRequest, OrderInfoResponse, OrderPayRequest, OrdersAllRequest, StocksInfoRequest,
    StocksInfoResponse, StocksRestockRequest, StocksRestockResponse,
};
use tonic::{Request, Response, Status};

/// Serves constant gRPC answers on a port of localhost, and a constant HTTP answer on another one.
///
/// # Errors
/// If a port is taken, or a server fails.
pub fn serve(grpc: u16, http: u16, answer: &str) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, http))?;
    let answer = answer.to_owned();
    let web = thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let app = move || {
                App::new()
                    .app_data(web::Data::new(answer.clone()))
                    .default_service(web::to(constant))
            };
            HttpServer::new(app).listen(listener)?.run().await
        })
    });
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, grpc));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(
        tonic::transport::Server::builder().add_service(LomsServer::new(Echo)).serve(address),
    )?;
    web.join().map_err(|_| anyhow::anyhow!("the web server panicked"))??;
    Ok(())
}

async fn constant(answer: web::Data<String>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(answer.get_ref().clone())
}

struct Echo;

type Answer<T> = Result<Response<T>, Status>;

fn not_measured<T>() -> Answer<T> {
    Err(Status::unimplemented("not measured"))
}

#[tonic::async_trait]
impl Loms for Echo {
    async fn order_info(&self, request: Request<OrderInfoRequest>) -> Answer<OrderInfoResponse> {
        let items = vec![Item { sku: 1, count: 1 }];
        let order =
            Order { status: "awaiting payment".to_owned(), user: 1, items, ..Order::default() };
        drop(request);
        Ok(Response::new(OrderInfoResponse { order: Some(order) }))
    }

    async fn stocks_info(&self, _: Request<StocksInfoRequest>) -> Answer<StocksInfoResponse> {
        Ok(Response::new(StocksInfoResponse { count: 999_999_999 }))
    }

    async fn order_create(&self, _: Request<OrderCreateRequest>) -> Answer<OrderCreateResponse> {
        not_measured()
    }

    async fn order_pay(&self, _: Request<OrderPayRequest>) -> Answer<()> {
        not_measured()
    }

    async fn order_cancel(&self, _: Request<OrderCancelRequest>) -> Answer<()> {
        not_measured()
    }

    async fn orders_all(&self, _: Request<OrdersAllRequest>) -> Answer<OrderAllResponse> {
        not_measured()
    }

    async fn stocks_restock(
        &self,
        _: Request<StocksRestockRequest>,
    ) -> Answer<StocksRestockResponse> {
        not_measured()
    }
}
