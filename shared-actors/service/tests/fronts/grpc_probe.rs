//! A gRPC service that follows the instructions in the request, and its client.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use prost::Message;
use prost_types::{
    DescriptorProto, FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto,
    ServiceDescriptorProto,
};
use service_kit::error::{ErrorCode, ServiceError};
use service_kit::grpc;
use service_kit::grpc::{GrpcFrontEnd, GrpcServerSettings, GrpcService, serve};
use service_kit::settings::ListenAddress;
use shared_actors::deadline;
use shared_actors::health::Health;
use tonic::body::Body;
use tonic::client::Grpc as Client;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

#[derive(Debug, thiserror::Error)]
#[error("no count")]
struct NoCount;

impl ServiceError for NoCount {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidArgument
    }

    fn public_message(&self) -> String {
        "count must be positive".to_owned()
    }

    fn field(&self) -> Option<&str> {
        Some("items[0].count")
    }
}

/// Does what the request's text says.
#[derive(Clone)]
struct Probe;

impl NamedService for Probe {
    const NAME: &'static str = "test.Probe";
}

impl UnaryService<String> for Probe {
    type Response = String;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Status>> + Send>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        Box::pin(async move {
            match request.get_ref().as_str() {
                "wrong" => Err(grpc::status(&NoCount)),
                "panic" => panic!("secret internals"),
                "hang" => std::future::pending().await,
                "patient" => {
                    tokio::time::sleep_until(deadline::current().expect("a deadline")).await;
                    Err(Status::deadline_exceeded("in my own words"))
                }
                text => Ok(Response::new(text.to_owned())),
            }
        })
    }
}

impl tower::Service<tonic::codegen::http::Request<Body>> for Probe {
    type Response = tonic::codegen::http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::codegen::http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path() != "/test.Probe/Echo" {
                return Ok(Status::unimplemented("no such method").into_http());
            }
            Ok(Grpc::new(ProstCodec::<String, String>::default()).unary(Probe, request).await)
        })
    }
}

fn descriptors() -> &'static [u8] {
    let method = MethodDescriptorProto {
        name: Some("Echo".to_owned()),
        input_type: Some(".test.Text".to_owned()),
        output_type: Some(".test.Text".to_owned()),
        ..Default::default()
    };
    let file = FileDescriptorProto {
        name: Some("probe.proto".to_owned()),
        package: Some("test".to_owned()),
        message_type: vec![DescriptorProto { name: Some("Text".to_owned()), ..Default::default() }],
        service: vec![ServiceDescriptorProto {
            name: Some("Probe".to_owned()),
            method: vec![method],
            ..Default::default()
        }],
        ..Default::default()
    };
    Vec::leak(FileDescriptorSet { file: vec![file] }.encode_to_vec())
}

pub fn grpc_settings() -> GrpcServerSettings {
    GrpcServerSettings::new(ListenAddress::loopback())
}

pub async fn serve_probe(settings: &GrpcServerSettings, health: &Health) -> GrpcFrontEnd {
    let service = GrpcService {
        routes: Routes::new(Probe),
        health: health.clone(),
        descriptors: descriptors(),
        identity: None,
    };
    serve(settings, service).await.unwrap()
}

/// A channel that connects on its first use.
pub fn channel_to(front: &GrpcFrontEnd) -> Channel {
    Endpoint::from_shared(format!("http://{}", front.address)).unwrap().connect_lazy()
}

pub async fn echo(
    channel: &Channel,
    path: &'static str,
    request: Request<String>,
) -> Result<String, Status> {
    let mut client = Client::new(channel.clone());
    client.ready().await.unwrap();
    let codec = ProstCodec::<String, String>::default();
    client.unary(request, PathAndQuery::from_static(path), codec).await.map(Response::into_inner)
}

pub async fn say(channel: &Channel, text: &str) -> Result<String, Status> {
    echo(channel, "/test.Probe/Echo", Request::new(text.to_owned())).await
}
