//! Accepting connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, stream};
use shared_actors::panic_point;
use tokio::net::TcpListener;
use tonic::transport::server::Connected;

use crate::limits::Connections;
use crate::net::{Activity, Connection, Incoming, Patience, Places, Protocol};
use crate::tls::Acceptor;

/// `accept` usually fails because file descriptors have run out. That lasts a while, so retrying at
/// once would spin.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Accepts connections, at most as many at once as there are places.
pub(super) fn accept(
    listener: TcpListener,
    tls: Option<Acceptor>,
    connections: Connections,
    places: Places,
    patience: Patience,
) -> impl Stream<Item = io::Result<Connection>> {
    let state = (listener, tls, connections, places);
    stream::unfold(state, move |(listener, tls, connections, places)| async move {
        panic_point!("grpc::accepting");
        let connection = loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let incoming = Incoming::new(stream, tls.as_ref(), &connections);
                    // Without a value, the connection is closed already.
                    let Some(incoming) = incoming else { continue };
                    break Ok(
                        Connection::admit(incoming, Protocol::Http2, patience, &places).await?
                    );
                }
                Err(error) => {
                    tokio::time::sleep(REST_AFTER_FAILURE).await;
                    break Err(error);
                }
            }
        };
        Some((connection, (listener, tls, connections, places)))
    })
}

/// Gives each call the activity of its connection.
impl Connected for Connection {
    type ConnectInfo = Arc<Activity>;

    fn connect_info(&self) -> Self::ConnectInfo {
        Arc::clone(self.activity())
    }
}
