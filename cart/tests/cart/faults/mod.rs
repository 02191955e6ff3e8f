//! Temporary faults: what cart's users notice, and when everything works again.

mod redis;
mod silence;
