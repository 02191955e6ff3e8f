//! The stand-in's HTTP server: `POST /get_product`, `GET /livez` and `GET /readyz`.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use actix_web::dev::{Server, ServerHandle};
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::rt::System;
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;

use super::catalogue::product;
use super::controls::{Call, Controls, Failure};

/// The token that the stand-in accepts.
pub const TOKEN: &str = "testtoken";

#[derive(Debug, Deserialize)]
struct GetProduct {
    token: String,
    sku: String,
}

/// A stand-in that runs on its own threads within this process. Dropping it stops it.
#[derive(Debug)]
pub struct ProductStandIn {
    base_url: String,
    controls: Arc<Controls>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl ProductStandIn {
    /// Starts a stand-in on a free port of localhost. It answers calls when this returns.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let controls = Arc::new(Controls::default());
        let shared = Arc::clone(&controls);
        let (started, outcome) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            System::new().block_on(async move {
                match serve(listener, shared) {
                    Ok(server) => {
                        let _ = started.send(Ok(server.handle()));
                        let _ = server.await;
                    }
                    Err(error) => {
                        let _ = started.send(Err(error));
                    }
                }
            });
        });
        let handle =
            outcome.recv().context("the stand-in's thread ended while it was starting")??;
        Ok(Self { base_url, controls, handle, thread: Some(thread) })
    }

    /// The value for `PRODUCT_SERVICE_BASE_URL`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Failure modes and the record of calls.
    pub fn controls(&self) -> &Controls {
        &self.controls
    }

    /// How many calls have arrived so far.
    pub fn calls(&self) -> u64 {
        self.controls.count()
    }

    /// Stops the stand-in. When this returns, its port refuses connections.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // Calling `stop` already sends the command. Its future only waits for the end, as joining
        // the thread does.
        drop(self.handle.stop(false));
        let _ = thread.join();
    }
}

impl Drop for ProductStandIn {
    fn drop(&mut self) {
        self.end();
    }
}

/// A server on `listener`. Must be called within an actix system, whose signal handling it leaves
/// alone.
pub fn serve(listener: TcpListener, controls: Arc<Controls>) -> Result<Server> {
    let controls = web::Data::from(controls);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(controls.clone())
            .route("/get_product", web::post().to(get_product))
            .route("/livez", web::get().to(HttpResponse::Ok))
            .route("/readyz", web::get().to(HttpResponse::Ok))
    })
    .workers(1)
    .shutdown_timeout(1)
    .disable_signals()
    .listen(listener)?;
    Ok(server.run())
}

async fn get_product(controls: web::Data<Controls>, body: web::Bytes) -> HttpResponse {
    let at = Instant::now();
    let asked: Result<GetProduct, _> = serde_json::from_slice(&body);
    let sku = asked.as_ref().map(|asked| asked.sku.clone()).unwrap_or_default();
    let (delay, failure) = controls.next();
    let response = match (failure, asked) {
        (Some(failure), _) => requested(failure),
        (None, Ok(asked)) => answer(&asked),
        (None, Err(error)) => refusal(400, &format!("the body cannot be parsed: {error}")),
    };
    controls.record(Call { at, sku, status: response.status().as_u16() });
    if !delay.is_zero() {
        actix_web::rt::time::sleep(delay).await;
    }
    response
}

fn answer(asked: &GetProduct) -> HttpResponse {
    if asked.token != TOKEN {
        return refusal(401, "the token is wrong");
    }
    match asked.sku.parse().ok().and_then(product) {
        Some(product) => HttpResponse::Ok().json(product),
        None => refusal(404, "no product has this SKU"),
    }
}

fn requested(failure: Failure) -> HttpResponse {
    let refusal = |status| refusal(status, "this failure was requested");
    match failure {
        Failure::Status(status) => refusal(status),
        Failure::RetryAfter(seconds) => {
            let mut refusal = refusal(503);
            refusal.headers_mut().insert(RETRY_AFTER, seconds.into());
            refusal
        }
        Failure::Malformed => HttpResponse::Ok().body("a product"),
        Failure::Large(bytes) => {
            HttpResponse::Ok().json(json!({ "name": "x".repeat(bytes), "price": 1 }))
        }
        Failure::Cut => {
            let cut = std::io::Error::other("this failure was requested");
            let body = [Ok(web::Bytes::from_static(b"{\"name\": \"a")), Err(cut)];
            HttpResponse::Ok().streaming(futures::stream::iter(body))
        }
    }
}

fn refusal(status: u16, message: &str) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).json(json!({ "message": message }))
}
