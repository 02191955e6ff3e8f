//! What operators see: health, metrics, settings, migrations, an orderly end.

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
