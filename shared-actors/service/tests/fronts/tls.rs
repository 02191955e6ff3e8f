//! Connections with TLS: certificates on both sides, their replacement, and clients that do not
//! complete the handshake.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use dev::testing::{Authority, Certificate, eventually};
use reqwest::{Client, Identity};
use service_kit::grpc::{GrpcServerSettings, Link};
use service_kit::http::{HttpFrontEnd, HttpServerSettings};
use service_kit::settings::{ListenAddress, Reader};
use service_kit::tls::{ClientTls, ListenerTls};
use shared_actors::health::Health;
use tokio::task::spawn_blocking;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::grpc_probe::{grpc_settings, say, serve_probe};
use crate::strangers::serve_http;

const SHORT: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(20);

fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn listener(certificate: &Certificate, client_ca: Option<&Authority>) -> ListenerTls {
    ListenerTls {
        certificate: certificate.file.clone(),
        key: certificate.key.clone(),
        client_ca: client_ca.map(Authority::file),
    }
}

fn serve(tls: ListenerTls) -> HttpFrontEnd {
    install_provider();
    let settings = HttpServerSettings::new(ListenAddress::loopback());
    serve_http(&HttpServerSettings { workers: 1, tls: Some(tls), ..settings })
}

/// A client that trusts only `authority`, and may have a certificate.
fn client(authority: &Authority, own: Option<&Certificate>) -> Client {
    let ca = reqwest::Certificate::from_pem(&fs::read(authority.file()).unwrap()).unwrap();
    let mut builder = Client::builder().tls_certs_only([ca]).no_proxy().pool_max_idle_per_host(0);
    if let Some(own) = own {
        let pem = [fs::read(&own.file).unwrap(), fs::read(&own.key).unwrap()].concat();
        builder = builder.identity(Identity::from_pem(&pem).unwrap());
    }
    builder.build().unwrap()
}

async fn asks(client: &Client, address: SocketAddr) -> Result<String, reqwest::Error> {
    client.get(format!("https://localhost:{}/livez", address.port())).send().await?.text().await
}

#[actix_rt::test]
async fn http_is_encrypted_and_plain_text_gets_no_answer() {
    let authority = Authority::new();
    let front = serve(listener(&authority.sign("server"), None));
    assert_eq!(asks(&client(&authority, None), front.address).await.unwrap(), "ok");
    let stranger = asks(&client(&Authority::new(), None), front.address).await;
    assert!(stranger.is_err(), "a client that does not trust the authority: {stranger:?}");
    let address = front.address;
    let plain = spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    });
    let plain = String::from_utf8_lossy(&plain.await.unwrap()).into_owned();
    assert!(!plain.contains("HTTP/1.1"), "{plain}");
    front.stop().await;
}

#[actix_rt::test]
async fn old_versions_of_tls_are_refused() {
    let authority = Authority::new();
    let front = serve(listener(&authority.sign("server"), None));
    let address = front.address;
    // A ClientHello with one cipher suite, one curve and one signature algorithm.
    let extensions = [0, 22, 0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3, 0, 11, 0, 2, 1, 0];
    let hello = |minor: u8| {
        let hello = [&[3, minor], &[7; 32][..], &[0, 0, 2, 0xc0, 0x2b, 1, 0], &extensions].concat();
        let length = u8::try_from(hello.len()).unwrap();
        [&[22, 3, 1, 0, length + 4, 1, 0, 0, length], &hello[..]].concat()
    };
    let answer_to = |hello: Vec<u8>| async move {
        let exchange = move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(&hello).unwrap();
            let mut answer = [0; 7];
            stream.read_exact(&mut answer).unwrap();
            answer
        };
        spawn_blocking(exchange).await.unwrap()
    };
    assert_eq!(answer_to(hello(3)).await[0], 22, "TLS 1.2 is accepted");
    // SSL 3.0, TLS 1.0 and TLS 1.1 get a fatal alert: protocol_version.
    for minor in 0..=2 {
        let answer = answer_to(hello(minor)).await;
        assert_eq!((answer[0], answer[5], answer[6]), (21, 2, 70), "{minor}: {answer:?}");
    }
    front.stop().await;
}

#[actix_rt::test]
async fn a_client_needs_a_certificate_of_the_authority_that_is_set_for_clients() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let front = serve(listener(&servers.sign("server"), Some(&clients)));
    let own = clients.sign("client");
    assert_eq!(asks(&client(&servers, Some(&own)), front.address).await.unwrap(), "ok");
    for (what, own) in [
        ("no", None),
        ("another authority's", Some(servers.sign("client"))),
        ("an expired", Some(clients.sign_expired("client"))),
    ] {
        let answer = asks(&client(&servers, own.as_ref()), front.address).await;
        assert!(answer.is_err(), "a client with {what} certificate: {answer:?}");
    }
    front.stop().await;
}

#[actix_rt::test]
async fn a_certificate_is_replaced_without_a_restart_and_a_wrong_one_is_not_taken() {
    let (old, new) = (Authority::new(), Authority::new());
    let current = old.sign("server");
    let front = serve(listener(&current, None));
    assert_eq!(asks(&client(&old, None), front.address).await.unwrap(), "ok");

    let renewed = new.sign("server");
    fs::copy(&renewed.file, &current.file).unwrap();
    fs::copy(&renewed.key, &current.key).unwrap();
    let with_new = client(&new, None);
    eventually(PATIENCE, "the new certificate is served", async || {
        asks(&with_new, front.address).await
    })
    .await;

    // A key that does not belong to the certificate, as in the middle of a renewal.
    fs::copy(&old.sign("server").key, &current.key).unwrap();
    let started = std::time::Instant::now();
    while started.elapsed() < 2 * SHORT + Duration::from_secs(1) {
        assert_eq!(asks(&with_new, front.address).await.unwrap(), "ok");
    }
    front.stop().await;
}

#[actix_rt::test]
async fn a_client_that_does_not_complete_the_handshake_is_closed_as_one_that_sends_no_head() {
    let authority = Authority::new();
    let certificate = authority.sign("server");
    install_provider();
    let settings = HttpServerSettings::new(ListenAddress::loopback());
    let tls = Some(listener(&certificate, None));
    let front =
        serve_http(&HttpServerSettings { workers: 1, tls, head_timeout: SHORT, ..settings });
    let settings = GrpcServerSettings {
        tls: Some(listener(&certificate, None)),
        head_timeout: SHORT,
        ..grpc_settings()
    };
    let grpc = serve_probe(&settings, &Health::new()).await;
    // The beginning of a handshake record.
    for bytes in [&b""[..], &[0x16, 3, 1, 2, 0, 1]] {
        for address in [front.address, grpc.address] {
            let closes = spawn_blocking(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.write_all(bytes).unwrap();
                stream.read_to_end(&mut Vec::new())
            });
            let closed = closes.await.unwrap();
            let is_timeout =
                |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
            assert!(!closed.as_ref().is_err_and(is_timeout), "{bytes:?}: {closed:?}");
        }
    }
    front.stop().await;
    grpc.stop().await;
}

/// What a client trusts, as its settings say it.
fn client_tls(authority: &Authority, own: Option<&Certificate>) -> ClientTls {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let mut settings = vec![("LOMS_CA_FILE", text(&authority.file()))];
    if let Some(own) = own {
        settings.push(("LOMS_CLIENT_CERT_FILE", text(&own.file)));
        settings.push(("LOMS_CLIENT_KEY_FILE", text(&own.key)));
    }
    let mut reader = Reader::from_pairs(settings);
    let tls = ClientTls::read(&mut reader, "LOMS");
    reader.finish().unwrap();
    tls
}

async fn says(link: &Link) -> Result<String, Status> {
    let send = async |channel: Channel, _: Request<()>| {
        Ok(tonic::Response::new(say(&channel, "hello").await?))
    };
    link.send((), send).await.map(tonic::Response::into_inner)
}

#[actix_rt::test]
async fn grpc_is_encrypted_with_certificates_on_both_sides() {
    install_provider();
    let authority = Authority::new();
    let tls = Some(listener(&authority.sign("server"), Some(&authority)));
    let front = serve_probe(&GrpcServerSettings { tls, ..grpc_settings() }, &Health::new()).await;
    let url = format!("https://localhost:{}", front.address.port());
    let own = authority.sign("client");
    let link = Link::to(&url, &client_tls(&authority, Some(&own))).unwrap();
    assert_eq!(says(&link).await.unwrap(), "hello");
    for (what, tls) in [
        ("without a certificate", client_tls(&authority, None)),
        ("that does not trust the server", client_tls(&Authority::new(), Some(&own))),
    ] {
        let answer = says(&Link::to(&url, &tls).unwrap()).await;
        assert!(answer.is_err(), "a client {what}: {answer:?}");
    }
    for (what, certificate) in [
        ("an expired certificate", authority.sign_expired("server")),
        ("the certificate of another host", authority.sign_for("server", &["shop.example"])),
    ] {
        let tls = Some(listener(&certificate, None));
        let front =
            serve_probe(&GrpcServerSettings { tls, ..grpc_settings() }, &Health::new()).await;
        let url = format!("https://localhost:{}", front.address.port());
        let answer = says(&Link::to(&url, &client_tls(&authority, None)).unwrap()).await;
        assert!(answer.is_err(), "a server with {what}: {answer:?}");
        front.stop().await;
    }
    let plain = Link::to(&url.replace("https", "http"), &ClientTls::default()).unwrap();
    assert!(says(&plain).await.is_err(), "a client without TLS");
    front.stop().await;
}

#[test]
fn a_wrong_file_is_a_wrong_setting() {
    let authority = Authority::new();
    let (one, other) = (authority.sign("one"), authority.sign("other"));
    let problems = |files: [(&str, &Path); 2]| {
        let files = files.map(|(name, path)| (name, path.to_str().unwrap()));
        let mut reader = Reader::from_pairs(files);
        ListenerTls::read(&mut reader);
        ClientTls::read(&mut reader, "LOMS");
        let problems = reader.finish().err().map(|error| error.problems).unwrap_or_default();
        problems.into_iter().map(|problem| problem.name).collect::<Vec<_>>()
    };
    let nowhere = Path::new("/nowhere.pem");
    for (certificate, key) in
        [("TLS_CERT_FILE", "TLS_KEY_FILE"), ("LOMS_CLIENT_CERT_FILE", "LOMS_CLIENT_KEY_FILE")]
    {
        let right = problems([(certificate, &one.file), (key, &one.key)]);
        assert!(right.is_empty(), "{right:?}");
        assert_eq!(problems([(certificate, &one.file), (key, &other.key)]), [key]);
        assert_eq!(problems([(certificate, nowhere), (key, &one.key)]), [certificate]);
        assert_eq!(problems([(certificate, &one.key), (key, &one.key)]), [certificate]);
        assert_eq!(problems([(certificate, &one.file), ("OTHER", nowhere)]), [key]);
        assert_eq!(problems([("OTHER", nowhere), (key, &one.key)]), [certificate]);
    }
}
