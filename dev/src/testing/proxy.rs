//! A TCP proxy between a service and a server that fails as networks do: it cuts, silences, refuses
//! and delays.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// The maximum number of bytes that are forwarded at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// A proxy to one server. Dropping it ends its connections.
///
/// It runs on its own thread, so a test that blocks its runtime does not stop the traffic.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    link: watch::Sender<Link>,
    accepted: Arc<AtomicU64>,
    _stop: oneshot::Sender<()>,
}

/// The state of the network between the two sides. Connections are numbered from 1.
#[derive(Debug, Clone, Copy, Default)]
struct Link {
    /// Connections up to this number are closed.
    cut: u64,
    /// Connections up to this number forward nothing from now on.
    silenced: u64,
    newcomers: Newcomers,
    /// How long each chunk of bytes is held back.
    delay: Duration,
}

/// What happens to a new connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Newcomers {
    #[default]
    Served,
    Closed,
    Silenced,
}

impl Proxy {
    /// Starts a proxy to `server` (`host:port`) on a free port of localhost.
    pub fn to(server: &str) -> Self {
        let (link, state) = watch::channel(Link::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, address) = std::sync::mpsc::channel();
        let accepted = Arc::new(AtomicU64::new(0));
        let (server, count) = (server.to_owned(), Arc::clone(&accepted));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = TcpListener::bind(("127.0.0.1", super::free_port())).await?;
                // If the owner of the proxy has gone, there is nothing to serve.
                let _ = ready.send(listener.local_addr()?);
                tokio::select! {
                    ended = accept(listener, server, state, count) => ended,
                    _ = stopped => Ok(()),
                }
            })
        });
        let address = address.recv().expect("the proxy listens");
        Self { address, link, accepted, _stop: stop }
    }

    /// The address it listens on, as `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections it has accepted so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Acquire)
    }

    /// Closes all open connections, as a restarting server does. New ones are served.
    pub fn cut(&self) {
        let all = self.accepted();
        self.link.send_modify(|link| link.cut = all);
    }

    /// Stops forwarding over the open connections without closing them, as a firewall that lost its
    /// state does. New ones are served.
    pub fn silence(&self) {
        let all = self.accepted();
        self.link.send_modify(|link| link.silenced = all);
    }

    /// Stops forwarding over all connections, including new ones, as a network without a route to
    /// the server does.
    pub fn silence_all(&self) {
        let all = self.accepted();
        self.link.send_modify(|link| {
            link.silenced = all;
            link.newcomers = Newcomers::Silenced;
        });
    }

    /// Closes all open connections, and closes each new one at once.
    pub fn refuse(&self) {
        let all = self.accepted();
        self.link.send_modify(|link| {
            link.cut = all;
            link.newcomers = Newcomers::Closed;
        });
    }

    /// Holds back each chunk of bytes for `delay`, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.link.send_modify(|link| link.delay = delay);
    }

    /// Serves new connections again, without delay. Connections that were silenced stay silent.
    pub fn heal(&self) {
        self.link.send_modify(|link| {
            link.newcomers = Newcomers::Served;
            link.delay = Duration::ZERO;
        });
    }
}

async fn accept(
    listener: TcpListener,
    server: String,
    link: watch::Receiver<Link>,
    accepted: Arc<AtomicU64>,
) -> io::Result<()> {
    loop {
        let (client, _) = listener.accept().await?;
        let number = accepted.fetch_add(1, Ordering::AcqRel) + 1;
        let (server, link) = (server.clone(), link.clone());
        // Only the two sides need to see how a connection ends.
        tokio::spawn(async move { serve(number, client, &server, link).await });
    }
}

async fn serve(
    number: u64,
    client: TcpStream,
    server: &str,
    link: watch::Receiver<Link>,
) -> io::Result<()> {
    let newcomers = link.borrow().newcomers;
    match newcomers {
        Newcomers::Closed => return Ok(()),
        Newcomers::Silenced => {
            // Nothing that the client sends is answered until the connection is cut.
            until(link, |link| number <= link.cut).await;
            return Ok(());
        }
        Newcomers::Served => {}
    }
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    let both = async {
        tokio::try_join!(
            forward(number, from_client, to_server, link.clone()),
            forward(number, from_server, to_client, link.clone()),
        )
    };
    tokio::select! {
        ended = both => ended.map(drop),
        () = until(link.clone(), |link| number <= link.cut) => Ok(()),
    }
}

async fn forward(
    number: u64,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    link: watch::Receiver<Link>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = tokio::select! {
            biased;
            () = until(link.clone(), |link| number <= link.silenced) => None,
            read = from.read(&mut chunk) => Some(read?),
        };
        let Some(read) = read else { return std::future::pending().await };
        let delay = link.borrow().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..read]).await?;
    }
}

/// Waits until `holds` is true. Waits forever if the proxy is gone, because its connections end
/// with it.
async fn until(mut link: watch::Receiver<Link>, holds: impl Fn(&Link) -> bool) {
    if link.wait_for(|link| holds(link)).await.is_err() {
        std::future::pending::<()>().await;
    }
}
