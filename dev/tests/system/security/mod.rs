//! The shop among strangers: encryption, and what outsiders may see.

mod canaries;
mod identity;
mod operations_port;
mod tls;
