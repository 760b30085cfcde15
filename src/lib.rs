//! Hopline: an evidence gateway for telemetry.
//!
//! The folders are the data path, in its order. A folder imports only from folders above it;
//! [`pipeline`] alone joins them. `docs/architecture.md` is the map.

pub mod evidence;
pub mod ledger;
pub mod wire;
pub mod receive;
pub mod normalize;
pub mod redact;
pub mod limit;
pub mod log;
pub mod join;
pub mod measure;
pub mod index;
pub mod export;
pub mod query;
pub mod serve;
pub mod settings;
pub mod drive;
pub mod pipeline;
pub mod demo;
