//! Code that only developers run: the native stack with its demo purchase, the product stand-in,
//! the benchmark, and helpers for tests on real servers.

pub mod bench;
pub mod demo;
pub mod http;
pub mod product_stand_in;
pub mod stack;
pub mod swagger_page;
pub mod testing;
