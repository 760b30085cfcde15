//! Whether a gateway could start with the files that its settings name.

use super::{Error, Gates};
use crate::receive;
use crate::redact::Policy;
use crate::settings::Settings;

/// Reads those files as a start does, and makes nothing: no folder, no key, no connection.
///
/// A start goes on without the certificates of a destination, which it tries again; here they are
/// refused in the words that its status would have.
///
/// # Errors
/// With the first file that cannot be used.
pub fn check(settings: &Settings) -> Result<(), Error> {
    Gates::open(settings)?;
    let key = settings.kept_pseudonym_key();
    let key = key.map_err(|error| Error::Key(settings.data_dir.clone(), error))?;
    Policy::new(&settings.for_redact(key.unwrap_or_default()))?;
    settings.receive.follow.iter().try_for_each(|path| receive::can_follow(path))?;
    settings.export.iter().try_for_each(|destination| destination.for_export().check())?;
    Ok(())
}
