//! Takes journeys and commits them, bucket by bucket.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tantivy::merge_policy::NoMergePolicy;
use tantivy::{IndexWriter, TantivyDocument};

use super::bucket::{Bucket, open_all};
use super::changes::{Change, Changes};
use super::lookup::{Ids, Wanted};
use super::schema::Fields;
use super::searcher::{Searcher, Shared};
use super::snapshot::Snapshot;
use super::{Document, Error, Settings};
use crate::evidence::{JourneyId, Nanos};

/// Buckets that may be open at once: each holds files and memory maps.
const BUCKETS_MAX: usize = 2048;
/// For a writer that only deletes.
const MEMORY_IDLE: usize = 0;

/// The only one who changes the index.
///
/// Changes show after [`Writer::commit`], or earlier, under the payload of the last one, once they
/// take more memory than the settings allow. After an error of a write the writer is dead: what was
/// put since the last commit is not indexed, so it is opened anew and the log replayed.
pub struct Writer {
    settings: Settings,
    shared: Arc<Shared>,
    buckets: BTreeMap<u64, Bucket>,
    current: Option<Open>,
    previous: Option<Open>,
    changes: Changes,
    elsewhere: BTreeMap<u64, Ids>,
    dirty: bool,
    unwritten_bytes: usize,
    commits: u64,
    payload: String,
}

/// What was retired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    /// Whole buckets.
    pub buckets: u64,
    /// Journeys in them.
    pub docs: u64,
    /// Bytes on disk that they had.
    pub bytes: u64,
}

/// A bucket that is written to.
struct Open {
    start_s: u64,
    writer: IndexWriter,
}

impl Writer {
    /// Opens the index, or makes it, to write journeys that arrive from `now` on.
    pub fn open(settings: Settings, now: Nanos) -> Result<(Self, Searcher), Error> {
        let fields = Fields::new();
        let found = open_all(&settings, &fields)?;
        let shared = Arc::new(Shared::new(fields, found.unreadable));
        let payloads = found.buckets.values().filter_map(Bucket::payload);
        let stamps = payloads.filter_map(|stamp| unstamp(&stamp));
        let (commits, payload) = stamps.max().unwrap_or_default();
        let mut writer = Self {
            settings,
            shared: Arc::clone(&shared),
            buckets: found.buckets,
            current: None,
            previous: None,
            changes: Changes::default(),
            elsewhere: BTreeMap::new(),
            dirty: false,
            unwritten_bytes: 0,
            commits,
            payload,
        };
        let start_s = writer.bucket_at(now);
        writer.current = Some(writer.open_bucket(start_s)?);
        writer.publish();
        Ok((writer, Searcher::new(shared)))
    }

    /// What the last commit carried: where the log is to be read on. Empty before the first.
    #[must_use]
    pub fn payload(&self) -> &str {
        &self.payload
    }

    /// Adds a journey that was not put before.
    pub fn put(&mut self, document: &Document, now: Nanos) -> Result<(), Error> {
        self.rotate(now)?;
        let lowered = self.lower(document)?;
        if self.changes.has(document.id.0) {
            let change = Change::Replace(lowered, u64::from(document.evidence));
            return self.change(document.id, change, size(document));
        }
        self.add(lowered)?;
        self.spend(size(document))
    }

    /// Puts a new version of a journey in the place of all earlier ones.
    pub fn replace(&mut self, document: &Document, now: Nanos) -> Result<(), Error> {
        self.rotate(now)?;
        let change = Change::Replace(self.lower(document)?, u64::from(document.evidence));
        self.change(document.id, change, size(document))
    }

    /// Puts a journey that may be indexed already, because the log is read a second time. At the
    /// commit it is dropped if what is indexed was made from as much evidence.
    pub fn put_replayed(&mut self, document: &Document, now: Nanos) -> Result<(), Error> {
        self.rotate(now)?;
        let change = Change::Improve(self.lower(document)?, u64::from(document.evidence));
        self.change(document.id, change, size(document))
    }

    /// Takes a journey out of the index.
    pub fn retract(&mut self, id: JourneyId) -> Result<(), Error> {
        self.change(id, Change::Retract, size_of::<Change>())
    }

    /// Makes all changes visible and lasting, together with `payload`. A crash before its return
    /// leaves the last commit or this one, and never loses a journey that was replaced.
    pub fn commit(&mut self, now: Nanos, payload: &str) -> Result<(), Error> {
        self.rotate(now)?;
        if self.current.is_none() {
            return Err(Error::Dead);
        }
        if self.dirty || payload != self.payload {
            self.try_commit(payload).inspect_err(|_| self.die())?;
        }
        Ok(())
    }

    /// Removes whole buckets: those past their time, then the oldest until the rest fits.
    pub fn retire(&mut self, now: Nanos) -> Result<Retired, Error> {
        let mut retired = Retired::default();
        let current = self.current.as_ref().ok_or(Error::Dead)?.start_s;
        let lifetime = self.span_s().saturating_add(self.settings.keep.as_secs());
        loop {
            let bytes: u64 = self.buckets.values().map(|bucket| bucket.view.bytes).sum();
            let crowded = bytes > self.settings.bytes_max || self.buckets.len() > BUCKETS_MAX;
            let oldest = self.buckets.keys().copied().find(|start_s| *start_s != current);
            let Some(start_s) = oldest else { break };
            let expired = start_s.saturating_add(lifetime) <= seconds(now);
            if !(expired || crowded) {
                break;
            }
            self.previous.take_if(|open| open.start_s == start_s);
            let Some(bucket) = self.buckets.remove(&start_s) else { break };
            retired.buckets += 1;
            retired.docs += bucket.view.searcher.num_docs();
            retired.bytes += bucket.view.bytes;
            self.publish();
            bucket.remove(&self.settings.dir)?;
        }
        Ok(retired)
    }

    fn lower(&self, document: &Document) -> Result<TantivyDocument, Error> {
        let (lowered, cuts) = document.lower(&self.shared.fields, &self.settings)?;
        self.shared.texts_cut.fetch_add(cuts.texts, Ordering::Relaxed);
        self.shared.values_cut.fetch_add(cuts.values, Ordering::Relaxed);
        Ok(lowered)
    }

    /// Keeps the change until the commit, so that all lookups and deletes are one pass.
    fn change(&mut self, id: JourneyId, change: Change, bytes: usize) -> Result<(), Error> {
        if self.current.is_none() {
            return Err(Error::Dead);
        }
        self.changes.insert(id.0, change);
        self.spend(bytes)
    }

    /// Tantivy's queue is bounded by documents and not by bytes: a commit empties it.
    fn spend(&mut self, bytes: usize) -> Result<(), Error> {
        self.dirty = true;
        self.unwritten_bytes = self.unwritten_bytes.saturating_add(bytes);
        if self.unwritten_bytes > self.settings.memory {
            let last = self.payload.clone();
            self.try_commit(&last).inspect_err(|_| self.die())?;
        }
        Ok(())
    }

    fn span_s(&self) -> u64 {
        self.settings.bucket.as_secs().max(1)
    }

    fn bucket_at(&self, now: Nanos) -> u64 {
        seconds(now) / self.span_s() * self.span_s()
    }

    fn open_bucket(&mut self, start_s: u64) -> Result<Open, Error> {
        let (fields, memory) = (&self.shared.fields, self.settings.memory);
        if !self.buckets.contains_key(&start_s) {
            let bucket = Bucket::create(&self.settings.dir, start_s, fields)?;
            self.buckets.insert(start_s, bucket);
        }
        let bucket = self.buckets.get(&start_s).ok_or(Error::Dead)?;
        Ok(Open { start_s, writer: bucket.writer(memory)? })
    }

    fn publish(&self) {
        let views = self.buckets.values().map(|bucket| Arc::clone(&bucket.view));
        self.shared.publish(Snapshot::new(views.collect()));
    }

    fn add(&mut self, document: TantivyDocument) -> Result<(), Error> {
        let open = self.current.as_mut().ok_or(Error::Dead)?;
        let Err(error) = open.writer.add_document(document) else { return Ok(()) };
        // The thread that failed keeps its reason until it is joined.
        let source = Box::new(open.writer.prepare_commit().err().unwrap_or(error));
        let bucket = open.start_s;
        self.die();
        Err(Error::Write { bucket, source })
    }

    /// Decides the changes and hands them to the bucket that is written to.
    fn apply(&mut self) -> Result<(), Error> {
        let changes = mem::take(&mut self.changes);
        if changes.is_empty() {
            return Ok(());
        }
        let open = self.current.as_ref().ok_or(Error::Dead)?;
        let copies = self.shared.locate(&self.shared.snapshot(), &changes.ids());
        let plan = changes.plan(copies, open.start_s);
        delete(open, plan.here)?;
        for (bucket, ids) in plan.elsewhere {
            self.elsewhere.entry(bucket).or_default().extend(ids);
        }
        plan.add.into_iter().try_for_each(|document| self.add(document))
    }

    fn try_commit(&mut self, payload: &str) -> Result<(), Error> {
        self.apply()?;
        if !self.elsewhere.is_empty() {
            // A new version is safe before the old one goes, and only then does the log move on.
            let last = self.payload.clone();
            self.commit_current(&last)?;
            self.delete_elsewhere()?;
        }
        self.commit_current(payload)?;
        payload.clone_into(&mut self.payload);
        self.dirty = false;
        self.unwritten_bytes = 0;
        for open in [&self.current, &self.previous].into_iter().flatten() {
            if let Some(bucket) = self.buckets.get_mut(&open.start_s) {
                bucket.refresh()?;
            }
        }
        self.publish();
        Ok(())
    }

    fn commit_current(&mut self, payload: &str) -> Result<(), Error> {
        self.commits += 1;
        let open = self.current.as_mut().ok_or(Error::Dead)?;
        let bucket = self.buckets.get(&open.start_s).ok_or(Error::Dead)?;
        bucket.commit(&mut open.writer, &stamp(self.commits, payload))
    }

    /// Deletes old versions in buckets that are no longer written to.
    fn delete_elsewhere(&mut self) -> Result<(), Error> {
        for (start_s, ids) in mem::take(&mut self.elsewhere) {
            // A bucket that was retired meanwhile took its versions along.
            let Some(bucket) = self.buckets.get_mut(&start_s) else { continue };
            let payload = bucket.payload().unwrap_or_default();
            match &mut self.previous {
                Some(open) if open.start_s == start_s => {
                    delete(open, ids)?;
                    bucket.commit(&mut open.writer, &payload)?;
                }
                _ => {
                    let mut open = Open { start_s, writer: bucket.writer(MEMORY_IDLE)? };
                    // This writer is gone before a merge could end.
                    open.writer.set_merge_policy(Box::new(NoMergePolicy));
                    delete(&open, ids)?;
                    bucket.commit(&mut open.writer, &payload)?;
                }
            }
            bucket.refresh()?;
        }
        Ok(())
    }

    /// Goes on to the next bucket when its time has come.
    fn rotate(&mut self, now: Nanos) -> Result<(), Error> {
        let open = self.current.as_ref().ok_or(Error::Dead)?;
        if open.start_s == self.bucket_at(now) {
            return Ok(());
        }
        self.try_rotate(now).inspect_err(|_| self.die())
    }

    fn try_rotate(&mut self, now: Nanos) -> Result<(), Error> {
        if self.dirty {
            let last = self.payload.clone();
            self.try_commit(&last)?;
        }
        // A clock that was set back may lead to the bucket that was just left.
        let start_s = self.bucket_at(now);
        self.previous.take_if(|open| open.start_s == start_s);
        let next = self.open_bucket(start_s)?;
        let Some(mut left) = self.current.replace(next) else { return Ok(()) };
        if let Some(bucket) = self.buckets.get(&left.start_s) {
            bucket.seal(&mut left.writer, &stamp(self.commits, &self.payload))?;
        }
        self.previous = Some(left);
        Ok(())
    }

    /// Forgets all that is not committed: the threads of a failed writer are gone.
    fn die(&mut self) {
        self.current = None;
        self.previous = None;
        self.changes = Changes::default();
        self.elsewhere.clear();
    }
}

fn delete(open: &Open, ids: Ids) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let deleted = open.writer.delete_query(Box::new(Wanted::Journeys(Arc::new(ids))));
    let bucket = open.start_s;
    deleted.map(drop).map_err(|source| Error::Write { bucket, source: Box::new(source) })
}

/// About the memory that a document takes until the commit.
fn size(document: &Document) -> usize {
    const REST: usize = 1024;
    document.text.len() + document.stored.len() + REST
}

/// `commits payload`: the commit that was counted last has the payload that counts.
fn stamp(commits: u64, payload: &str) -> String {
    format!("{commits} {payload}")
}

fn unstamp(stamp: &str) -> Option<(u64, String)> {
    let (commits, payload) = stamp.split_once(' ')?;
    Some((commits.parse().ok()?, payload.to_owned()))
}

fn seconds(now: Nanos) -> u64 {
    now.0 / 1_000_000_000
}
