//! The shop among strangers: encryption, and what outsiders may see.

mod identity;
mod operations_port;
mod tls;
