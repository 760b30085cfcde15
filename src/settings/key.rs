//! The key of the pseudonyms.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::checked::{Action, Settings};
use crate::redact::edit;

const FILE: &str = "pseudonym.key";
const CONTEXT: &str = "hopline 2026-11 pseudonym key";

impl Settings {
    /// The key of the pseudonyms: from `redact.key`, else the one in `data_dir`, which is made at
    /// the first start. A lost key only means that old and new pseudonyms differ.
    ///
    /// # Errors
    /// When the file cannot be made or read.
    pub fn pseudonym_key(&self) -> io::Result<[u8; 32]> {
        if let Some(key) = self.kept_pseudonym_key()? {
            return Ok(key);
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.data_dir)?;
        make(&self.data_dir.join(FILE))
    }

    /// The same; `None` when it is not made yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn kept_pseudonym_key(&self) -> io::Result<Option<[u8; 32]>> {
        if self.redact.action == Action::Mask && !edit::needs_key(&self.edit) {
            return Ok(Some([0; 32]));
        }
        if !self.redact.key.is_empty() {
            return Ok(Some(blake3::derive_key(CONTEXT, self.redact.key.expose().as_bytes())));
        }
        match read(&self.data_dir.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }
}

fn read(path: &Path) -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    File::open(path)?.read_exact(&mut key)?;
    Ok(key)
}

fn make(path: &Path) -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::super::{Sources, load};

    #[test]
    fn a_key_that_was_made_is_read_again() {
        for needs_key in ["redact.action=pseudonym", "edit=pseudonymise span user.id"] {
            let folder = tempfile::tempdir().unwrap();
            let data_dir = format!("data_dir={}", folder.path().join("data").display());
            let sets = vec![data_dir, needs_key.to_owned()];
            let settings = load(&Sources { sets, ..Sources::default() }).unwrap();

            assert_eq!(settings.kept_pseudonym_key().unwrap(), None);
            let first = settings.pseudonym_key().unwrap();

            assert_ne!(first, [0; 32]);
            assert_eq!(settings.pseudonym_key().unwrap(), first);
            assert_eq!(settings.kept_pseudonym_key().unwrap(), Some(first));
        }
    }
}
