//! loms through its REST gateway: the same calls in JSON.

mod calls;
mod json;
mod refusals;
