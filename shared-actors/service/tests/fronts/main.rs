//! The front-ends, tested over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod grpc;
mod grpc_probe;
mod hostile;
mod http;
mod identity;
mod limits;
mod strangers;
mod tls;
