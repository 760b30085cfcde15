//! Whether a gateway could start with the files that its settings name.

use super::{Error, Gates};
use crate::export;
use crate::receive;
use crate::redact::Policy;
use crate::settings::Settings;

/// Reads those files as a start does, and makes nothing: no folder, no key, no connection.
///
/// A start goes on without the certificates of a destination, and without a file to follow, and tries
/// them again; here they are refused in the words that its status and its log would have.
///
/// # Errors
/// With the first file that cannot be used.
pub fn check(settings: &Settings) -> Result<(), Error> {
    Gates::open(settings)?;
    let key = settings.kept_pseudonym_key();
    let key = key.map_err(|error| Error::Key(settings.data_dir.clone(), error))?;
    Policy::new(&settings.for_redact(key.unwrap_or_default()))?;
    for path in &settings.receive.follow {
        receive::can_follow(path).map_err(|error| Error::TriedAgain(error.into()))?;
    }
    for destination in &settings.export {
        destination.for_export().check().map_err(|error| match error {
            export::Error::Tls { .. } => Error::TriedAgain(error.into()),
            export::Error::Endpoint { .. } | export::Error::Proxy { .. } => error.into(),
        })?;
    }
    Ok(())
}
