//! A trace receiver like OpenTelemetry's collector: OTLP over gRPC, or over HTTP.

use std::collections::HashMap;
use std::net::{self, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread;

use actix_web::rt::System;
use actix_web::{App, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1;
use prost::Message;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::{Env, set};

/// A span as it was received.
#[derive(Debug, Clone)]
pub struct Span {
    pub service: String,
    pub name: String,
    /// The number in `SpanKind`: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    pub trace: String,
    pub id: String,
    pub parent: String,
    /// Attributes that are not integers, as text.
    pub attributes: HashMap<String, String>,
    /// Integer attributes.
    pub numbers: HashMap<String, i64>,
    /// The trace id and span id of each link.
    pub links: Vec<(String, String)>,
    pub failed: bool,
}

/// A running receiver. It keeps everything that it receives until the test ends.
#[derive(Debug, Clone)]
pub struct Collector {
    address: SocketAddr,
    protocol: &'static str,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    /// Starts a receiver of OTLP over gRPC on a free port, on the test's runtime.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let collector = Self { address, protocol: "grpc", spans: Arc::default() };
        let service =
            TraceServiceServer::new(collector.clone()).max_decoding_message_size(64 << 20);
        let incoming = TcpListenerStream::new(listener);
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        collector
    }

    /// Starts a receiver of OTLP over HTTP on a free port. It runs until the test process ends.
    pub fn start_http() -> Self {
        let listener = net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let collector = Self { address, protocol: "http/protobuf", spans: Arc::default() };
        let receiver = web::Data::new(collector.clone());
        thread::spawn(move || {
            let app = move || {
                App::new().app_data(receiver.clone()).route("/v1/traces", web::post().to(receive))
            };
            let server =
                HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap();
            System::new().block_on(server.run()).unwrap();
        });
        collector
    }

    /// The address it listens on, as `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The settings with which a service exports its traces here, 100 ms after they happened.
    pub fn settings(&self) -> Env {
        self.settings_by(&self.address())
    }

    /// Like [`Self::settings`], but through a proxy at `address`.
    pub fn settings_by(&self, address: &str) -> Env {
        vec![
            set("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
            set("OTEL_EXPORTER_OTLP_PROTOCOL", self.protocol),
            set("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ]
    }

    /// The spans of a trace that have arrived so far.
    pub fn trace(&self, id: &str) -> Vec<Span> {
        self.spans.lock().unwrap().iter().filter(|span| span.trace == id).cloned().collect()
    }

    fn keep(&self, request: ExportTraceServiceRequest) {
        let mut spans = self.spans.lock().unwrap();
        for resource in request.resource_spans {
            let attributes =
                resource.resource.map(|resource| readable(resource.attributes)).unwrap_or_default();
            let service = attributes.get("service.name").cloned().unwrap_or_default();
            let received = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(received.map(|span| Span::of(&service, span)));
        }
    }

    /// All spans that have arrived so far.
    pub fn all(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }
}

async fn receive(collector: web::Data<Collector>, body: web::Bytes) -> HttpResponse {
    collector.keep(ExportTraceServiceRequest::decode(body).unwrap());
    HttpResponse::Ok().content_type("application/x-protobuf").finish()
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.keep(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Span {
    fn of(service: &str, span: v1::Span) -> Self {
        Self {
            service: service.to_owned(),
            name: span.name,
            kind: span.kind,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            numbers: span.attributes.iter().filter_map(number).collect(),
            attributes: readable(span.attributes),
            links: span
                .links
                .iter()
                .map(|link| (hex(&link.trace_id), hex(&link.span_id)))
                .collect(),
            failed: span.status.is_some_and(|status| status.code == 2),
        }
    }

    /// The value of an attribute. Fails if the attribute is missing.
    #[track_caller]
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).unwrap_or_else(|| panic!("no {name} in {self:#?}"))
    }
}

fn readable(attributes: Vec<KeyValue>) -> HashMap<String, String> {
    attributes.into_iter().map(|attribute| (attribute.key, text(attribute.value))).collect()
}

fn number(attribute: &KeyValue) -> Option<(String, i64)> {
    match attribute.value.as_ref()?.value {
        Some(Value::IntValue(number)) => Some((attribute.key.clone(), number)),
        _ => None,
    }
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
