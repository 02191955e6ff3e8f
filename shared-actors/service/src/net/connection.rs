//! A connection that is closed if its client is silent for too long or does not take its answer.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::places::{Place, Places};
use super::{Activity, Wire};
use crate::limits::{Connections, Counted};
use crate::tls::Acceptor;

/// The bytes that an HTTP/2 client has to send before its first call: the preface, its settings and
/// the acknowledgement of ours.
const HANDSHAKE_BYTES: usize = 24 + 9 + 9;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// How long a client may take for each thing that it has to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// To send the head of a request (HTTP/1) or to complete the handshake (HTTP/2).
    pub(crate) head: Duration,
    /// To begin another request.
    pub(crate) idle: Duration,
    /// To take the data that was written to it.
    pub(crate) answer: Duration,
}

/// A connection before it has a place.
pub(crate) struct Incoming {
    wire: Wire,
    client: Option<IpAddr>,
    counted: Option<Counted>,
}

impl Incoming {
    /// `None` if its client has too many connections; it is then closed.
    pub(crate) fn new(
        stream: TcpStream,
        tls: Option<&Acceptor>,
        connections: &Connections,
    ) -> Option<Self> {
        let client = stream.peer_addr().ok().map(|address| address.ip());
        let counted = connections.open(client).ok()?;
        Some(Self { wire: Wire::new(stream, tls), client, counted })
    }
}

/// A connection that occupies a place of the server.
pub(crate) struct Connection {
    wire: Wire,
    protocol: Protocol,
    patience: Patience,
    activity: Arc<Activity>,
    place: Place,
    _counted: Option<Counted>,
    /// Since when a head or a handshake has been arriving; `None` once it is complete.
    head_since: Option<Instant>,
    /// How many requests had begun at the last check.
    begun: u64,
    received_bytes: usize,
    /// Since when the socket has accepted no more data. (An HTTP/2 answer also waits while the
    /// client's flow-control window is closed. [`Activity`] tracks that.)
    blocked_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Connection {
    /// Waits for a place. `None` if the places are closed.
    pub(crate) async fn admit(
        Incoming { wire, client, counted }: Incoming,
        protocol: Protocol,
        patience: Patience,
        places: &Places,
    ) -> Option<Self> {
        let place = places.take().await?;
        let now = Instant::now();
        Some(Self {
            wire,
            protocol,
            patience,
            activity: Activity::new(client),
            place,
            _counted: counted,
            head_since: Some(now),
            begun: 0,
            received_bytes: 0,
            blocked_since: None,
            timer: Box::pin(sleep_until(now + patience.head)),
        })
    }

    /// Where the server records the requests in progress.
    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    fn on_read(&mut self, bytes: usize) {
        match self.protocol {
            Protocol::Http1 => {
                self.notice_begun();
                if self.head_since.is_none() && !self.activity.is_busy() {
                    self.head_since = Some(Instant::now());
                }
            }
            Protocol::Http2 if self.head_since.is_some() => {
                self.received_bytes += bytes;
                if self.received_bytes >= HANDSHAKE_BYTES {
                    self.head_is_complete();
                    self.activity.touch();
                }
            }
            Protocol::Http2 => {}
        }
    }

    /// If a request has begun, its head is complete.
    fn notice_begun(&mut self) {
        let begun = self.activity.begun();
        if self.protocol == Protocol::Http1 && begun != self.begun {
            self.begun = begun;
            self.head_is_complete();
        }
    }

    fn head_is_complete(&mut self) {
        self.head_since = None;
        self.place.evicted = None;
    }

    /// When the client's time is up, as of now.
    fn due(&mut self, now: Instant) -> Instant {
        self.notice_begun();
        let answering = self.activity.answering_since();
        match (self.blocked_since.or(answering), self.head_since) {
            (Some(since), _) => since + self.patience.answer,
            // The request has its own deadline, so only check again later.
            (None, _) if self.activity.is_busy() => {
                now + self.patience.idle.min(self.patience.answer)
            }
            (None, Some(since)) => since + self.patience.head,
            (None, None) => self.activity.idle_since() + self.patience.idle,
        }
    }

    /// Fails if the client's time is up. Otherwise, the task is woken when it is.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        // A request may have begun since the last read. Its connection does not make room for others.
        self.notice_begun();
        if let Some(evicted) = &mut self.place.evicted
            && Pin::new(evicted).poll(cx).is_ready()
        {
            self.place.evicted = None;
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "closed to make room for another connection",
            ));
        }
        loop {
            let now = Instant::now();
            let due = self.due(now);
            if due <= now {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the client took too long"));
            }
            // The timer is not reset for each request. If it fires early, it only checks again.
            if self.timer.is_elapsed() || self.timer.deadline() > due {
                self.timer.as_mut().reset(due);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
        }
    }

    fn written(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_pending() {
            self.blocked(cx)?;
        } else if self.protocol == Protocol::Http1 {
            // HTTP/2 also writes pings and the like, which say nothing about the client.
            self.activity.touch();
        }
        written
    }

    /// Handles that the socket takes no more data. Before a connection is open, that is part of
    /// the handshake.
    fn blocked(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.wire.is_open() {
            self.blocked_since.get_or_insert_with(Instant::now);
        }
        self.poll_patience(cx)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.wire).poll_read(cx, buf);
        if read.is_pending() {
            self.poll_patience(cx)?;
        } else {
            self.on_read(buf.filled().len() - before);
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.wire).poll_write(cx, buf);
        self.written(cx, written)
    }

    /// Servers flush when they have written everything.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.wire).poll_flush(cx);
        if flushed.is_pending() {
            // Encrypted data wait here for the socket.
            self.blocked(cx)?;
        } else if self.blocked_since.take().is_some() && self.head_since.is_some() {
            self.head_since = Some(Instant::now());
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.wire).poll_write_vectored(cx, bufs);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }
}
