//! What the gRPC port offers besides the shop's own service.

use prost::Message;
use prost_types::FileDescriptorProto;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::proto::loms_client::LomsClient as LomsStub;
use crate::support::proto::{OrderCreateRequest, StocksInfoRequest};
use crate::support::{LomsClient, Shop};

#[tokio::test]
async fn reflection_lists_the_service_and_describes_its_methods() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let MessageResponse::ListServicesResponse(list) =
        reflect(&loms, MessageRequest::ListServices(String::new())).await
    else {
        panic!("no list of services");
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"Loms") && names.contains(&"grpc.health.v1.Health"), "{names:?}");

    let symbol = MessageRequest::FileContainingSymbol("Loms".to_owned());
    let MessageResponse::FileDescriptorResponse(files) = reflect(&loms, symbol).await else {
        panic!("no description of Loms");
    };
    let files = files.file_descriptor_proto.iter();
    let files: Vec<_> =
        files.map(|file| FileDescriptorProto::decode(file.as_slice()).unwrap()).collect();
    let service = files
        .iter()
        .flat_map(|file| &file.service)
        .find(|service| service.name() == "Loms")
        .unwrap();
    let methods: Vec<&str> =
        service.method.iter().map(prost_types::MethodDescriptorProto::name).collect();
    assert_eq!(
        methods,
        [
            "OrderCreate",
            "OrderInfo",
            "OrderPay",
            "OrderCancel",
            "OrdersAll",
            "StocksInfo",
            "StocksRestock"
        ]
    );
}

#[tokio::test]
async fn the_health_service_says_that_loms_serves() {
    let shop = Shop::shared().await;
    let mut health = HealthClient::new(shop.loms.client().channel());
    for service in ["", "Loms"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let response =
            health.check(request).await.unwrap_or_else(|status| panic!("{service:?}: {status}"));
        assert_eq!(response.into_inner().status().as_str_name(), "SERVING", "{service:?}");
    }
    let unknown = HealthCheckRequest { service: "Loms2".to_owned() };
    assert_eq!(health.check(unknown).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_method_that_does_not_exist_is_unimplemented() {
    let shop = Shop::shared().await;
    let mut grpc = tonic::client::Grpc::new(shop.loms.client().channel());
    for path in ["/Loms/OrderDelete", "/Loms", "/shop.Loms/OrderInfo", "/"] {
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let refusal = grpc.unary(Request::new(()), path.parse().unwrap(), codec).await.unwrap_err();
        assert_eq!(refusal.code(), Code::Unimplemented, "{path}: {refusal}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused_and_harm_nobody() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let mut grpc = tonic::client::Grpc::new(loms.channel());
    grpc.ready().await.unwrap();
    // A string where the request expects a message: field 1 of wire type 2, cut short.
    let codec = tonic_prost::ProstCodec::<String, ()>::default();
    let nonsense = Request::new("\u{1}\u{2}\u{3} no order".to_owned());
    let refusal =
        grpc.unary(nonsense, "/Loms/OrderCreate".parse().unwrap(), codec).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument, "{refusal}");
    assert!(loms.available(1002).await.is_ok());
}

#[tokio::test]
async fn a_compressed_message_is_read_and_bounded_by_what_it_unpacks_to() {
    let shop = Shop::shared().await;
    let loms =
        LomsStub::new(shop.loms.client().channel()).send_compressed(CompressionEncoding::Gzip);
    let stock = loms.clone().stocks_info(StocksInfoRequest { sku: 1002 }).await.unwrap();
    assert!(stock.into_inner().count > 0);
    let bomb = OrderCreateRequest { order: None, idempotency_key: "0".repeat(16 * 1024 * 1024) };
    let refusal = loms.clone().order_create(bomb).await.unwrap_err();
    assert_eq!(refusal.code(), Code::ResourceExhausted, "{refusal}");
}

async fn reflect(loms: &LomsClient, asked: MessageRequest) -> MessageResponse {
    let mut client = ServerReflectionClient::new(loms.channel());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(asked) };
    let mut answers =
        client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap().message_response.unwrap()
}
