//! The log against a real directory: what crashes leave is made by copying, cutting and flipping
//! the files of a log that is still open. And against [`simfs`], whose plug can be pulled.

mod budget;
mod crash;
mod faults;
mod machine;
mod model;
mod order;
mod packed;
mod power;
mod simfs;
mod simulated;
mod steps;
mod version;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::disk::{Dir, segment_name};
use super::reader::Reader;
use super::shared::Shared;
use super::storage::System;
use super::{Ack, Batch, Effort, Error, Log, Packed, Payload, Settings};
use crate::evidence::{Digest, Head, Nanos, Position, Signal, Source, Tenant};
use crate::ledger::Refusal;
use crate::redact::Clean;

fn settings(dir: &Path, ack: Ack) -> Settings {
    Settings {
        dir: dir.to_owned(),
        segment_bytes: 1 << 20,
        bytes_max: 1 << 30,
        keep: Duration::from_secs(60),
        ack,
        packs: false,
        tail_bytes: 1 << 20,
        queue_bytes_max: 1 << 20,
    }
}

pub(super) fn dir_of(path: &Path) -> Dir {
    Dir::create(Arc::new(System), path).unwrap()
}

/// Nothing is kept in memory, so that every read is one from the disk.
fn from_disk(dir: &Path) -> Settings {
    Settings { tail_bytes: 0, ..settings(dir, Ack::Wal) }
}

pub(super) fn head(items: u32) -> Head {
    Head {
        signal: Signal::Logs,
        source: Source::OtlpHttp,
        tenant: Tenant(7),
        received: Nanos(1_000),
        items,
        policy: 3,
        digest: Digest::default(),
    }
}

/// A batch with as many items as bytes.
fn clean(text: &str) -> Clean {
    let items = u32::try_from(text.len()).unwrap();
    Clean::for_test(head(items), Bytes::copy_from_slice(text.as_bytes()))
}

/// The same as the log takes it: a long one as a frame of zstd.
fn packed(text: &str) -> Packed {
    Packed::new(&clean(text), Some(Effort::Usual))
}

/// Everything from a position on that can be read.
fn payloads(shared: &Arc<Shared>, from: Position) -> Vec<String> {
    drain(&mut Reader::new(Arc::clone(shared), from)).0
}

fn drain(reader: &mut Reader) -> (Vec<String>, Vec<Error>) {
    let (mut texts, mut errors) = (Vec::new(), Vec::new());
    loop {
        match reader.try_next() {
            Ok(Some(batch)) => texts.push(text(&batch)),
            Ok(None) => return (texts, errors),
            Err(error) => errors.push(error),
        }
    }
}

fn read_all(log: &Log) -> Vec<String> {
    drain(&mut log.reader(log.start())).0
}

fn text(batch: &Batch) -> String {
    String::from_utf8(batch.payload.plain.to_vec()).unwrap()
}

fn append(log: &Log, text: &str) -> Result<Position, Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(log.append(packed(text)))
}

fn append_all(log: &Log, texts: &[&str]) -> Vec<Position> {
    texts.iter().map(|text| append(log, text).unwrap()).collect()
}

/// What a process that is killed at this moment leaves on disk.
fn crash_image(from: &Path) -> tempfile::TempDir {
    let image = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), image.path().join(entry.file_name())).unwrap();
        }
    }
    image
}

fn segment_files(dir: &Path) -> Vec<PathBuf> {
    let bases = dir_of(dir).segments().unwrap();
    bases.into_iter().map(|base| dir.join(segment_name(base))).collect()
}

fn flip(path: &Path, offset: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[usize::try_from(offset).unwrap()] ^= 0x10;
    fs::write(path, bytes).unwrap();
}
