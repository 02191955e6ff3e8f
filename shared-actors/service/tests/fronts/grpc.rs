//! What a gRPC client sees: health, reflection, deadlines, error details, metrics.

use std::time::{Duration, Instant};

use dev::testing::Proxy;
use service_kit::grpc;
use service_kit::grpc::{GrpcFrontEnd, GrpcServerSettings, Link};
use service_kit::metrics;
use service_kit::tls::ClientTls;
use shared_actors::deadline;
use shared_actors::health::Health;
use tonic::client::Grpc as Client;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

use crate::grpc_probe::{channel_to, echo, grpc_settings, say, serve_probe};

async fn start(health: &Health) -> (GrpcFrontEnd, Channel) {
    start_with(health, Duration::from_millis(300)).await
}

async fn start_with(health: &Health, request_timeout: Duration) -> (GrpcFrontEnd, Channel) {
    let front =
        serve_probe(&GrpcServerSettings { request_timeout, ..grpc_settings() }, health).await;
    let channel = channel_to(&front);
    (front, channel)
}

#[actix_rt::test]
async fn errors_carry_their_code_and_details() {
    let (front, channel) = start(&Health::new()).await;
    assert_eq!(say(&channel, "hello").await.unwrap(), "hello");
    let wrong = say(&channel, "wrong").await.unwrap_err();
    assert_eq!((wrong.code(), wrong.message()), (Code::InvalidArgument, "count must be positive"));
    let details = wrong.get_error_details();
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "items[0].count");
    let panicked = say(&channel, "panic").await.unwrap_err();
    assert_eq!((panicked.code(), panicked.message()), (Code::Internal, "internal error"));
    assert_eq!(say(&channel, "still there").await.unwrap(), "still there");
    let unknown =
        echo(&channel, "/test.Probe/Nothing", Request::new(String::new())).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unimplemented);

    let text = metrics::render();
    for line in [
        r#"api_requests_total{method="gRPC",status="OK",url="/test.Probe/Echo"}"#,
        r#"api_requests_total{method="gRPC",status="INVALID_ARGUMENT",url="/test.Probe/Echo"}"#,
        r#"api_requests_total{method="gRPC",status="UNIMPLEMENTED",url="unmatched"}"#,
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    front.stop().await;
}

#[actix_rt::test]
async fn a_deadline_is_answered_as_such_by_the_server() {
    let (front, channel) = start(&Health::new()).await;
    for (text, message) in [("hang", "the call took too long"), ("patient", "in my own words")] {
        let late = say(&channel, text).await.unwrap_err();
        assert_eq!((late.code(), late.message()), (Code::DeadlineExceeded, message));
    }
    front.stop().await;
}

#[actix_rt::test]
async fn the_deadline_of_a_client_is_answered_by_the_server_before_the_client_gives_up() {
    let (front, channel) = start_with(&Health::new(), Duration::from_mins(1)).await;
    // On a busy machine the client's own timer may fire first. It reports CANCELLED.
    let mut late = None;
    for _ in 0..20 {
        let mut request = Request::new("patient".to_owned());
        request.metadata_mut().insert("grpc-timeout", "100m".parse().unwrap());
        let answer = echo(&channel, "/test.Probe/Echo", request).await.unwrap_err();
        if answer.code() != Code::Cancelled {
            late = Some(answer);
            break;
        }
    }
    let late = late.expect("the server answers in time");
    assert_eq!((late.code(), late.message()), (Code::DeadlineExceeded, "in my own words"));
    front.stop().await;
}

#[actix_rt::test]
async fn a_client_carries_its_deadline_on_and_counts_the_call() {
    let (front, _) = start(&Health::new()).await;
    let link = Link::to(&front.address.to_string(), &ClientTls::default()).unwrap();
    let at = tokio::time::Instant::now() + Duration::from_millis(50);
    let send = async |channel: Channel, request: Request<String>| {
        assert!(request.metadata().contains_key("grpc-timeout"));
        unary(channel, request).await
    };
    let call = grpc::call(&link, "/test.Probe/Echo", "hang".to_owned(), send);
    let late = deadline::scope(at, call).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    let counted = r#"external_requests_total{status="DEADLINE_EXCEEDED",url="/test.Probe/Echo"} 1"#;
    assert!(metrics::render().contains(counted));
    front.stop().await;
}

async fn unary(channel: Channel, request: Request<String>) -> Result<Response<String>, Status> {
    let mut client = Client::new(channel);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let codec = ProstCodec::<String, String>::default();
    client.unary(request, PathAndQuery::from_static("/test.Probe/Echo"), codec).await
}

#[actix_rt::test]
async fn past_its_deadline_a_call_is_not_sent() {
    let (front, _) = start(&Health::new()).await;
    let link = Link::to(&front.address.to_string(), &ClientTls::default()).unwrap();
    let mut sent = false;
    let send = async |channel: Channel, request: Request<String>| {
        sent = true;
        unary(channel, request).await
    };
    let late =
        deadline::scope(tokio::time::Instant::now(), link.send("hello".to_owned(), send)).await;
    assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
    assert!(!sent);
    front.stop().await;
}

#[actix_rt::test]
async fn a_connection_that_fell_silent_fails_one_call() {
    let (front, _) = start(&Health::new()).await;
    let proxy = Proxy::to(&front.address.to_string());
    let link = Link::to(&proxy.address(), &ClientTls::default()).unwrap();
    let say = async |seconds: u64| {
        let at = tokio::time::Instant::now() + Duration::from_secs(seconds);
        deadline::scope(at, link.send("hello".to_owned(), unary)).await
    };
    say(20).await.unwrap();
    assert_eq!(proxy.accepted(), 1);
    proxy.silence();
    assert_eq!(say(1).await.unwrap_err().code(), Code::DeadlineExceeded);
    say(20).await.unwrap();
    assert_eq!(proxy.accepted(), 2, "the next call goes over a connection of its own");
    front.stop().await;
}

#[actix_rt::test]
async fn a_connection_that_answers_others_is_kept() {
    let (front, _) = start_with(&Health::new(), Duration::from_mins(1)).await;
    let proxy = Proxy::to(&front.address.to_string());
    let link = Link::to(&proxy.address(), &ClientTls::default()).unwrap();
    let slow = deadline::scope(
        tokio::time::Instant::now() + Duration::from_secs(1),
        link.send("hang".to_owned(), unary),
    );
    let others = async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
            link.send("hello".to_owned(), unary).await.unwrap();
        }
    };
    let (slow, ()) = futures::join!(slow, others);
    assert_eq!(slow.unwrap_err().code(), Code::DeadlineExceeded);
    link.send("hello".to_owned(), unary).await.unwrap();
    assert_eq!(proxy.accepted(), 1);
    front.stop().await;
}

#[actix_rt::test]
async fn health_follows_readiness_and_calls_wait_for_it() {
    let health = Health::new();
    let database = health.component("postgres shard 0");
    let (front, channel) = start(&health).await;
    let early = say(&channel, "hello").await.unwrap_err();
    assert_eq!(early.code(), Code::Unavailable);
    assert!(early.get_error_details().retry_info().is_some());

    let mut client = HealthClient::new(channel.clone());
    for (ready, expected) in [(false, ServingStatus::NotServing), (true, ServingStatus::Serving)] {
        if ready {
            database.ready();
        }
        for service in ["", "test.Probe"] {
            let wanted = expected as i32;
            let within = Instant::now() + Duration::from_secs(5);
            loop {
                let request = HealthCheckRequest { service: service.to_owned() };
                let status =
                    client.check(request).await.map(|response| response.into_inner().status);
                if status.as_ref().is_ok_and(|status| *status == wanted) {
                    break;
                }
                assert!(Instant::now() < within, "{service:?}: {status:?}");
                tokio::task::yield_now().await;
            }
        }
    }
    assert_eq!(say(&channel, "hello").await.unwrap(), "hello");
    front.stop().await;
}

#[actix_rt::test]
async fn streams_that_nobody_ends_are_told_and_ended_when_the_server_stops() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

    let health = Health::new();
    health.component("postgres shard 0").ready();
    let (front, channel) = start(&health).await;
    let request = HealthCheckRequest { service: String::new() };
    let mut watched = HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner();
    let serving = ServingStatus::Serving as i32;
    while watched.message().await.unwrap().unwrap().status != serving {}
    let mut reflected = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::pending())
        .await
        .unwrap()
        .into_inner();
    health.stopping();
    let stopping = tokio::spawn(front.stop());
    let mut last = serving;
    let ended = loop {
        match watched.message().await {
            Ok(told) => last = told.unwrap().status,
            Err(ended) => break ended,
        }
    };
    assert_eq!((last, ended.code()), (ServingStatus::NotServing as i32, Code::Unavailable));
    assert_eq!(reflected.message().await.unwrap_err().code(), Code::Unavailable);
    stopping.await.unwrap();
}

#[actix_rt::test]
async fn reflection_tells_the_services() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::v1::{ServerReflectionRequest, ServiceResponse};

    let (front, channel) = start(&Health::new()).await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let names: Vec<String> =
        list.service.into_iter().map(|ServiceResponse { name }| name).collect();
    for name in ["test.Probe", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"] {
        assert!(names.iter().any(|known| known == name), "{name} is not in {names:?}");
    }
    drop(answers);
    front.stop().await;
}

#[actix_rt::test]
async fn a_server_that_ends_is_told_of() {
    let (front, _) = start(&Health::new()).await;
    let (address, ended) = (front.address, front.ended());
    front.stop().await;
    assert_eq!(ended.await.to_string(), format!("the gRPC server at {address} ended"));
}
