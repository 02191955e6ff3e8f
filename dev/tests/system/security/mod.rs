//! The shop among strangers: encryption, and what outsiders may see.

mod canaries;
mod core_dumps;
mod identity;
mod operations_port;
mod tls;
