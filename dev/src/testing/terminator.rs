//! Encrypts the traffic to a server that speaks only plain text.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::Certificate;

/// A listener with a certificate in front of a server. It runs on its own thread. Dropping it ends
/// its connections.
#[derive(Debug)]
pub struct TlsTerminator {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl TlsTerminator {
    /// Starts a terminator before `server` (`host:port`) on a free port of localhost. It offers
    /// `protocol` by ALPN, such as `h2`.
    pub fn before(server: &str, protocol: &str, certificate: &Certificate) -> Self {
        let tls = acceptor(protocol, certificate).expect("a certificate and its key");
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, address) = std::sync::mpsc::channel();
        let server = server.to_owned();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
                // If the owner has gone, there is nothing to serve.
                let _ = ready.send(listener.local_addr()?);
                tokio::select! {
                    ended = accept(listener, server, tls) => ended,
                    _ = stopped => Ok(()),
                }
            })
        });
        let address = address.recv().expect("the terminator listens");
        Self { address, _stop: stop }
    }

    /// Its address, as a URL with `https`.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }
}

async fn accept(listener: TcpListener, server: String, tls: TlsAcceptor) -> std::io::Result<()> {
    loop {
        let (client, _) = listener.accept().await?;
        let (tls, server) = (tls.clone(), server.clone());
        tokio::spawn(async move {
            let (client, server) = tokio::join!(tls.accept(client), TcpStream::connect(server));
            if let (Ok(mut client), Ok(mut server)) = (client, server) {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}

fn acceptor(protocol: &str, certificate: &Certificate) -> Result<TlsAcceptor> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(&certificate.file)?.collect();
    let key = PrivateKeyDer::from_pem_file(&certificate.key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates?, key)?;
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
