//! The operator's view: health, metrics, settings, migrations, orderly shutdown.

mod arguments;
mod catalogue;
mod cors;
mod databases;
mod faults;
mod impatience;
mod log;
mod migrate;
mod pages;
mod scrape;
mod settings;
mod shutdown;
mod stack;
