//! loms over its REST gateway: the same calls as JSON.

mod calls;
mod json;
mod refusals;
