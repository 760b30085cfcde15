//! Where settings come from.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use config::{ConfigError, FileFormat, Format};

use super::error::Error;
use super::leaf::{Leaf, flatten};
use super::shape::is_small;
use super::substitute::{Incomplete, substitute};

const PREFIX: &str = "HOPLINE__";

/// Far above any settings, far below what would hurt.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What was given beside the defaults, weakest first.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// YAML files, in order; a later one goes over an earlier one.
    pub files: Vec<PathBuf>,
    /// The environment. `HOPLINE__LOG__KEEP` is `log.keep`.
    pub environment: Vec<(OsString, OsString)>,
    /// Texts of the form `log.keep=2h`.
    pub sets: Vec<String>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `config/default.yaml`, which is part of the program.
    Default,
    /// A file.
    File(PathBuf),
    /// An environment variable, by its name.
    Variable(String),
    /// `--set`.
    Set,
}

impl Sources {
    /// The files and `--set` texts of a command line, and the environment of this process.
    #[must_use]
    pub fn of_process(files: Vec<PathBuf>, sets: Vec<String>) -> Self {
        Self { files, environment: std::env::vars_os().collect(), sets }
    }

    /// All that was given, weakest first.
    pub(super) fn given(&self) -> Result<Vec<Given>, Error> {
        let mut all = Vec::new();
        for file in &self.files {
            all.extend(self.of_file(file)?);
        }
        all.extend(self.of_environment()?);
        for (number, text) in (1..).zip(&self.sets) {
            let (key, value) = text.split_once('=').ok_or(Error::Set { number })?;
            let (key, leaf) = (key.trim().to_owned(), Leaf::Text(value.to_owned()));
            all.push(Given { key, leaf, origin: Origin::Set });
        }
        Ok(all)
    }

    fn of_file(&self, file: &Path) -> Result<Vec<Given>, Error> {
        let origin = Origin::File(file.to_owned());
        let mut all = Vec::new();
        for (key, leaf) in parse(&read(file)?, &origin)? {
            let leaf = self.complete(&key, leaf, &origin)?;
            all.push(Given { key, leaf, origin: origin.clone() });
        }
        Ok(all)
    }

    /// Taken as they are: the shell or the orchestrator has substituted already.
    fn of_environment(&self) -> Result<Vec<Given>, Error> {
        let mut all = Vec::new();
        for (name, value) in &self.environment {
            let name = name.to_string_lossy();
            let Some(path) = name.strip_prefix(PREFIX) else { continue };
            let value = value.to_str().ok_or_else(|| Error::NotText { name: name.to_string() })?;
            let key = path.to_ascii_lowercase().replace("__", ".");
            let (leaf, origin) =
                (Leaf::Text(value.to_owned()), Origin::Variable(name.into_owned()));
            all.push(Given { key, leaf, origin });
        }
        Ok(all)
    }

    /// The value with its `${env:NAME}` replaced.
    fn complete(&self, key: &str, leaf: Leaf, origin: &Origin) -> Result<Leaf, Error> {
        match leaf {
            Leaf::Text(text) => {
                let done = substitute(&text, |name| self.variable(name).map_err(Fault::Error));
                done.map(Leaf::Text).map_err(|fault| fault.at(key, origin))
            }
            Leaf::List(items) => {
                let done = items.into_iter().map(|item| self.complete(key, item, origin));
                done.collect::<Result<_, _>>().map(Leaf::List)
            }
            other => Ok(other),
        }
    }

    fn variable(&self, name: &str) -> Result<Option<String>, Error> {
        let Some((_, value)) = self.environment.iter().find(|(known, _)| known == name) else {
            return Ok(None);
        };
        let text = value.to_str().ok_or_else(|| Error::NotText { name: name.to_owned() })?;
        Ok(Some(text.to_owned()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) => write!(f, "environment {name}"),
            Self::Set => f.write_str("--set"),
        }
    }
}

/// A key, what was given for it, and by whom.
pub(super) struct Given {
    pub(super) key: String,
    pub(super) leaf: Leaf,
    pub(super) origin: Origin,
}

/// A substitution's fault, before it is known where it happened.
enum Fault {
    Incomplete(Incomplete),
    Error(Error),
}

impl Fault {
    fn at(self, key: &str, origin: &Origin) -> Error {
        let (key, origin) = (key.to_owned(), origin.clone());
        match self {
            Self::Incomplete(Incomplete::Unset(name)) => Error::Unset { key, name, origin },
            Self::Incomplete(Incomplete::Placeholder) => Error::Placeholder { key, origin },
            Self::Error(error) => error,
        }
    }
}

impl From<Incomplete> for Fault {
    fn from(incomplete: Incomplete) -> Self {
        Self::Incomplete(incomplete)
    }
}

/// All values of a YAML text, each under its full key. A text of comments only gives none.
pub(super) fn parse(text: &str, origin: &Origin) -> Result<BTreeMap<String, Leaf>, Error> {
    let is_comment = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if text.lines().all(is_comment) {
        return Ok(BTreeMap::new());
    }
    if !is_small(text) {
        return Err(Error::Overgrown { origin: origin.clone() });
    }
    let table = FileFormat::Yaml.parse(None, text).map_err(|source| {
        // Only the scanner's errors, which have a position, are sure to repeat no value.
        let is_position = source.to_string().contains(" at byte ") && !source.is::<ConfigError>();
        Error::Parse { origin: origin.clone(), source: is_position.then_some(source) }
    })?;
    flatten(table).map_err(|key| Error::Twice { key, origin: origin.clone() })
}

fn read(file: &Path) -> Result<String, Error> {
    let failed = |source: io::Error| Error::Read { file: file.to_owned(), source };
    let mut text = String::new();
    let reader = File::open(file).map_err(failed)?;
    reader.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Error::TooLarge { file: file.to_owned(), bytes_max: FILE_BYTES_MAX });
    }
    Ok(text)
}
