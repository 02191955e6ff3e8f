//! Accepting connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, stream};
use shared_actors::panic_point;
use tokio::net::TcpListener;
use tonic::transport::server::Connected;

use crate::net::{Activity, Connection, Patience, Places, Protocol, Wire};
use crate::tls::Acceptor;

/// `accept` usually fails because file descriptors have run out. That lasts a while, so retrying at
/// once would spin.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Accepts connections, at most as many at once as there are places.
pub(super) fn accept(
    listener: TcpListener,
    tls: Option<Acceptor>,
    places: Places,
    patience: Patience,
) -> impl Stream<Item = io::Result<Connection>> {
    stream::unfold((listener, tls, places), move |(listener, tls, places)| async move {
        panic_point!("grpc::accepting");
        let connection = match listener.accept().await {
            Ok((stream, _)) => {
                let wire = Wire::new(stream, tls.as_ref());
                Ok(Connection::admit(wire, Protocol::Http2, patience, &places).await?)
            }
            Err(error) => {
                tokio::time::sleep(REST_AFTER_FAILURE).await;
                Err(error)
            }
        };
        Some((connection, (listener, tls, places)))
    })
}

/// Gives each call the activity of its connection.
impl Connected for Connection {
    type ConnectInfo = Arc<Activity>;

    fn connect_info(&self) -> Self::ConnectInfo {
        Arc::clone(self.activity())
    }
}
