//! Settings: a file, the environment and the command line to values that stages can trust.
//!
//! In: [`Sources`]. Out: [`Settings`], or one refusal that names the key, the range and the value.
//! Holds nothing. `config/default.yaml` is the default, the schema and the documentation in one:
//! the code has no second copy of a default, and a key that the file lacks does not exist.

mod build;
mod checked;
mod destination;
mod doors;
mod error;
mod key;
mod leaf;
mod memory;
mod raw;
mod read;
mod reload;
mod secret;
mod shape;
mod source;
mod stages;
mod substitute;
mod together;
mod unit;

pub use checked::{
    Ack, Action, Detectors, Format, Index, Join, Limit, Log, Measure, Receive, Redact, Remote,
    Serve, Settings, Shutdown, Telemetry, Tls,
};
pub use destination::{ClientTls, Destination, Header, WhenFull};
pub use error::{Error, in_full};
pub use memory::Bound;
pub use reload::Loaded;
pub use secret::Secret;
pub use source::{Origin, Sources};

use raw::Raw;

#[cfg(test)]
mod tests;

/// One key as it is in effect, fit to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The full key.
    pub key: String,
    /// The value as it was given; a secret is masked.
    pub value: String,
    /// Who gave it.
    pub origin: Origin,
}

/// The settings, each value checked, and all of them together.
pub fn load(sources: &Sources) -> Result<Settings, Error> {
    Ok(Loaded::load(sources)?.settings)
}

/// Every key in effect, in the order of the keys, and where its value came from.
pub fn explain(sources: &Sources) -> Result<Vec<Effective>, Error> {
    let raw = Raw::gather(sources)?;
    let effective = raw.entries().map(|(key, entry)| Effective {
        key: key.to_owned(),
        value: raw::shown(key, &entry.leaf),
        origin: entry.origin.clone(),
    });
    Ok(effective.collect())
}
