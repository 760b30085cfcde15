//! One time bucket: its directory, its tantivy index, its last commit.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::directory::MmapDirectory;
use tantivy::directory::error::OpenReadError;
use tantivy::index::Order;
use tantivy::indexer::IndexWriterOptions;
use tantivy::merge_policy::{LogMergePolicy, MergeCandidate, MergePolicy};
use tantivy::{
    Index, IndexReader, IndexSettings, IndexSortByField, IndexWriter, ReloadPolicy, TantivyError,
};
use tracing::warn;

use super::lookup::START;
use super::plugin::Ids;
use super::schema::Fields;
use super::snapshot::View;
use super::{Error, Settings};

/// Blocks of summaries that a segment keeps decompressed: hits of one page lie side by side.
const STORE_BLOCKS: usize = 2;
/// What tantivy takes for its indexing thread, at least and at most.
const MEMORY: (usize, usize) = (15_000_000, 4_000_000_000);
/// Above this, merging a segment again costs more than it spares a search.
const MERGED_DOCS_MAX: usize = 2_000_000;
/// A segment is rewritten when this share of it has been amended away.
const DELETED_RATIO: f32 = 0.3;
/// Damaged buckets that are kept for inspection; the oldest one makes room.
const UNREADABLE_MAX: usize = 4;
const UNREADABLE: &str = "unreadable-";
const RETIRED: &str = "retired-";

/// A bucket that can be read.
pub(super) struct Bucket {
    pub(super) start_s: u64,
    dir: PathBuf,
    index: Index,
    reader: IndexReader,
    pub(super) view: Arc<View>,
}

/// The buckets of a directory, and how many lie aside there because they cannot be read.
pub(super) struct Found {
    pub(super) buckets: BTreeMap<u64, Bucket>,
    pub(super) unreadable: u64,
}

/// Makes one segment of all: for a bucket that takes no more journeys.
#[derive(Debug)]
struct Whole;

/// Opens every bucket; a damaged one is moved aside, what a crash left half removed is removed.
pub(super) fn open_all(settings: &Settings, fields: &Fields) -> Result<Found, Error> {
    let root = &settings.dir;
    fs::create_dir_all(root).map_err(directory(root))?;
    let mut found = Found { buckets: BTreeMap::new(), unreadable: 0 };
    for entry in fs::read_dir(root).map_err(directory(root))? {
        let path = entry.map_err(directory(root))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(RETIRED) {
            fs::remove_dir_all(&path).map_err(directory(&path))?;
        } else if let Ok(start_s) = name.parse() {
            match Bucket::open(root, start_s, fields) {
                Ok(bucket) => drop(found.buckets.insert(start_s, bucket)),
                Err(Opening::Damaged(cause)) => {
                    warn!(bucket = start_s, cause, "bucket moved aside");
                    move_aside(root, &path)?;
                }
                Err(Opening::Failed(source)) => {
                    return Err(Error::Open { bucket: start_s, source });
                }
            }
        }
    }
    found.unreadable = u64::try_from(aside(root)?.len()).unwrap_or(u64::MAX);
    Ok(found)
}

impl Bucket {
    /// Opens the bucket for journeys that arrive from `start_s` on, or makes it.
    pub(super) fn create(root: &Path, start_s: u64, fields: &Fields) -> Result<Self, Error> {
        let dir = root.join(start_s.to_string());
        fs::create_dir_all(&dir).map_err(directory(&dir))?;
        let bucket = Self::open(root, start_s, fields).map_err(|opening| match opening {
            Opening::Failed(source) => Error::Open { bucket: start_s, source },
            Opening::Damaged(cause) => Error::Open { bucket: start_s, source: cause.into() },
        })?;
        sync(&dir)?;
        sync(root)?;
        Ok(bucket)
    }

    /// Reads or makes the index in the bucket's directory. Tantivy may panic on damaged files.
    fn open(root: &Path, start_s: u64, fields: &Fields) -> Result<Self, Opening> {
        let opened = catch_unwind(AssertUnwindSafe(|| Self::try_open(root, start_s, fields)));
        opened
            .map_err(|_| Opening::Damaged("panic while opening".to_owned()))?
            .map_err(Opening::from)
    }

    fn try_open(root: &Path, start_s: u64, fields: &Fields) -> tantivy::Result<Self> {
        let dir = root.join(start_s.to_string());
        let newest_first = IndexSortByField { field: START.to_owned(), order: Order::Desc };
        let settings = IndexSettings {
            sort_by_field: Some(newest_first),
            // Summaries are small: to hand them to a thread costs more than to pack them.
            docstore_compress_dedicated_thread: false,
            ..IndexSettings::default()
        };
        let open = |schema| {
            Index::builder()
                .schema(schema)
                .tokenizers(fields.tokenizers.clone())
                .settings(settings.clone())
                .register_plugin(Arc::new(Ids { id_low: fields.id_low, request: fields.request }))
                .open_or_create(MmapDirectory::open(&dir)?)
        };
        let index = match open(fields.schema.clone()) {
            Err(TantivyError::SchemaError(_)) => open(Fields::schema_of_before())?,
            opened => opened?,
        };
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(STORE_BLOCKS)
            .try_into()?;
        let view = Arc::new(View::new(start_s, reader.searcher(), bytes(&dir))?);
        Ok(Self { start_s, dir, index, reader, view })
    }

    /// A writer with one thread to index and one to merge.
    pub(super) fn writer(&self, memory: usize) -> Result<IndexWriter, Error> {
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(memory.clamp(MEMORY.0, MEMORY.1))
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let writer = self.index.writer_with_options(options).map_err(self.write_error())?;
        let mut policy = LogMergePolicy::default();
        policy.set_max_docs_before_merge(MERGED_DOCS_MAX);
        policy.set_del_docs_ratio_before_merge(DELETED_RATIO);
        writer.set_merge_policy(Box::new(policy));
        Ok(writer)
    }

    /// Commits and makes the commit last: tantivy syncs the directory only before the rename
    /// that publishes the commit, so a power loss would undo it.
    pub(super) fn commit(&self, writer: &mut IndexWriter, payload: &str) -> Result<(), Error> {
        let mut prepared = writer.prepare_commit().map_err(self.write_error())?;
        prepared.set_payload(payload);
        prepared.commit().map_err(self.write_error())?;
        sync(&self.dir)
    }

    /// Lets the writer make one segment of all, in the background.
    pub(super) fn seal(&self, writer: &mut IndexWriter, payload: &str) -> Result<(), Error> {
        writer.set_merge_policy(Box::new(Whole));
        self.commit(writer, payload)
    }

    /// Shows the last commit, and what has been merged since, to readers.
    pub(super) fn refresh(&mut self) -> Result<(), Error> {
        let view = (|| {
            self.reader.reload()?;
            View::new(self.start_s, self.reader.searcher(), bytes(&self.dir))
        })();
        self.view = Arc::new(view.map_err(self.write_error())?);
        Ok(())
    }

    /// The payload of the last commit.
    pub(super) fn payload(&self) -> Option<String> {
        self.index.load_metas().ok()?.payload
    }

    /// Removes the bucket; the rename first, so that a crash leaves nothing half readable.
    pub(super) fn remove(self, root: &Path) -> Result<(), Error> {
        let doomed = root.join(format!("{RETIRED}{}", self.start_s));
        fs::rename(&self.dir, &doomed).map_err(directory(&self.dir))?;
        fs::remove_dir_all(&doomed).map_err(directory(&doomed))
    }

    /// Names the bucket in an error of its writer.
    pub(super) fn write_error(&self) -> impl Fn(TantivyError) -> Error + use<> {
        let bucket = self.start_s;
        move |source| Error::Write { bucket, source: Box::new(source) }
    }
}

/// Why a bucket could not be opened.
enum Opening {
    /// Its files are not what was written.
    Damaged(String),
    /// Something else, that moving it aside would not cure.
    Failed(Box<dyn StdError + Send + Sync>),
}

impl From<TantivyError> for Opening {
    fn from(error: TantivyError) -> Self {
        let damaged = match &error {
            TantivyError::DataCorruption(_)
            | TantivyError::IncompatibleIndex(_)
            | TantivyError::SchemaError(_)
            | TantivyError::FieldNotFound(_)
            | TantivyError::MissingPlugin(_)
            | TantivyError::UnexpectedPlugin(_)
            | TantivyError::OpenReadError(
                OpenReadError::FileDoesNotExist(_) | OpenReadError::IncompatibleIndex(_),
            ) => true,
            TantivyError::IoError(source)
            | TantivyError::OpenReadError(OpenReadError::IoError { io_error: source, .. }) => {
                is_damage(source.kind())
            }
            _ => false,
        };
        if damaged { Self::Damaged(error.to_string()) } else { Self::Failed(Box::new(error)) }
    }
}

impl MergePolicy for Whole {
    fn compute_merge_candidates(
        &self,
        segments: &[tantivy::index::SegmentMeta],
    ) -> Vec<MergeCandidate> {
        let ids: Vec<_> = segments.iter().map(tantivy::index::SegmentMeta::id).collect();
        if ids.len() > 1 { vec![MergeCandidate(ids)] } else { Vec::new() }
    }
}

/// What reading a truncated or overwritten file gives.
fn is_damage(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn directory(path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Directory { path: path.clone(), source }
}

fn sync(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(directory(dir))
}

/// Bytes of the files in a directory; one that a merge just removed counts nothing.
fn bytes(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum()
}

/// The numbers of the buckets that lie aside, oldest first.
fn aside(root: &Path) -> Result<Vec<u64>, Error> {
    let entries = fs::read_dir(root).map_err(directory(root))?.flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut numbers: Vec<u64> =
        names.filter_map(|name| name.strip_prefix(UNREADABLE)?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn move_aside(root: &Path, bucket: &Path) -> Result<(), Error> {
    let numbers = aside(root)?;
    let next = numbers.last().map_or(0, |last| last.saturating_add(1));
    for old in numbers.iter().rev().skip(UNREADABLE_MAX - 1) {
        let path = root.join(format!("{UNREADABLE}{old}"));
        fs::remove_dir_all(&path).map_err(directory(&path))?;
    }
    fs::rename(bucket, root.join(format!("{UNREADABLE}{next}"))).map_err(directory(bucket))?;
    sync(root)
}
