//! What each fuzz target does with its bytes. `integration/corpora.rs` does the same with every
//! file of the corpus, so that what was found once is tried in every run of the tests.

#![allow(dead_code, reason = "a target calls its own body only")]

use std::sync::LazyLock;

use bytes::Bytes;
use hopline::evidence::{Digest, Head, Nanos, Signal, Source, Tenant};
use hopline::redact::{Action, Caps, Detectors, Policy, edit};
use hopline::settings::Sources;
use hopline::{log, query, receive, redact, settings};

/// As the settings could have it.
static PLAIN: LazyLock<Policy> = LazyLock::new(|| policy(&[]));

/// The same, and a rule of each kind.
static EDITING: LazyLock<Policy> = LazyLock::new(|| {
    policy(&[
        "add resource a = 1",
        "set span b = \"two words\" where resource a is present",
        "change log c = 1.5",
        "remove event a",
        "rename span a to c",
        "rename log \"url.full\" to b",
        "copy resource c to span a",
        "copy scope a to point d",
        "pseudonymise link a",
        "pseudonymise point b",
        "add scope b = true where a = 1",
    ])
});

/// A request, whatever it is: cleaning ends, and to clean twice is to clean once. What edits made
/// of it is as clean.
pub(crate) fn otlp(data: &[u8]) {
    let Some((first, request)) = data.split_first() else { return };
    let signal = Signal::ALL[usize::from(*first) % 3];
    let policy = if first & 0x80 == 0 { &PLAIN } else { &EDITING };
    let request = Bytes::copy_from_slice(request);
    let Ok((clean, _)) = policy.clean(head(signal), &request) else { return };
    let again = PLAIN.clean(head(signal), clean.bytes());
    let (again, _) = again.expect("what was cleaned is OTLP");
    assert_eq!(again.bytes(), clean.bytes(), "cleaning is idempotent");
}

/// What the JSON door makes of a text is OTLP.
pub(crate) fn json(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    let signal = Signal::ALL[usize::from(*first) % 3];
    if let Ok(request) = receive::protobuf_of_json(signal, text) {
        PLAIN.clean(head(signal), &request).expect("the door writes OTLP");
    }
}

/// What the door for flows makes of lines is OTLP.
pub(crate) fn flows(data: &[u8]) {
    if let Ok(request) = receive::protobuf_of_flows(data, Nanos(1)) {
        PLAIN.clean(head(Signal::Logs), &request).expect("the door writes OTLP");
    }
}

/// A log whose only segment holds these bytes opens, is read to its end, and takes more. After an
/// `S` the checksums are put right first: what they would keep out is tried too.
pub(crate) fn log(data: &[u8]) {
    let sealed = data.strip_prefix(b"S").map(sealed);
    let data = sealed.as_deref().unwrap_or(data);
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join(format!("{:020}.seg", 0));
    std::fs::write(path, data).expect("there is room for a file");
    // Every folder above the log is synced, which takes long where one is on a disk.
    let here = std::env::current_dir().unwrap_or_default();
    let dir = folder.path().strip_prefix(here).unwrap_or(folder.path());
    let opened = log::Log::open(log::Settings {
        dir: dir.to_owned(),
        segment_bytes: 64 << 10,
        bytes_max: 1 << 20,
        keep: std::time::Duration::from_secs(60),
        ack: log::Ack::Memory,
        packs: true,
        tail_bytes: 64 << 10,
        queue_bytes_max: 64 << 10,
    });
    // Written by a later version, it says so and is left alone.
    let Ok(opened) = opened else { return };
    let mut reader = opened.reader(opened.start());
    // Each damaged span is told once; a log of these many bytes has fewer spans than bytes.
    for _ in 0..=data.len() {
        if let Ok(None) = reader.try_next() {
            break;
        }
    }
    let request = Bytes::from_static(&[0x0a, 0x06, 0x12, 0x04, 0x12, 0x02, 0x1a, 0x00]);
    let (clean, _) = PLAIN.clean(head(Signal::Logs), &request).expect("a log record is OTLP");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let at =
        runtime.block_on(opened.append(opened.pack(&clean))).expect("an empty disk takes a batch");
    assert_eq!(opened.read(at).expect("what was appended is there").payload.plain, request);
    opened.close();
}

/// A segment of version 2 or 3 with all its checksums right: of the two parts of its opening, and of
/// each frame's payload and header.
fn sealed(data: &[u8]) -> Vec<u8> {
    const OPENING: [usize; 3] = [0, 16, 76];
    const HEADER: usize = 96;
    let mut bytes = data.to_vec();
    for part in OPENING.windows(2) {
        if let Some(part) = bytes.get_mut(part[0]..part[1]) {
            seal(part);
        }
    }
    for at in 0..bytes.len().saturating_sub(HEADER) {
        let (header, payload) = bytes[at..].split_at_mut(HEADER);
        if header.starts_with(b"\xf7HL") && [0xc2, 0xc3].contains(&header[3]) {
            let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
            if let Some(payload) = payload.get(..length as usize) {
                header[8..12].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
            }
            seal(header);
        }
    }
    bytes
}

/// The checksum of a part is its last four bytes.
fn seal(part: &mut [u8]) {
    let (rest, crc) = part.split_last_chunk_mut::<4>().expect("a part is longer than its checksum");
    *crc = crc32fast::hash(rest).to_le_bytes();
}

/// A file of settings is read, or refused with words that end.
pub(crate) fn settings(data: &[u8]) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join("gateway.yaml");
    std::fs::write(&path, data).expect("there is room for a file");
    let sources = Sources { files: vec![path], ..Sources::default() };
    if let Err(error) = settings::load(&sources) {
        assert!(!error.to_string().is_empty());
    }
}

/// A query is read, or refused at a byte of it; and its canonical form means the same.
pub(crate) fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match query::parse(text) {
        Err(error) => assert!(error.at <= text.len(), "{error} at {}", error.at),
        Ok(filter) => {
            let canonical = query::Canonical(&filter).to_string();
            let again = query::parse(&canonical).expect("a canonical form is a query");
            assert_eq!(query::Canonical(&again).to_string(), canonical);
        }
    }
}

fn head(signal: Signal) -> Head {
    Head {
        signal,
        source: Source::OtlpHttp,
        tenant: Tenant::default(),
        received: Nanos(1),
        items: 0,
        policy: 0,
        digest: Digest::default(),
    }
}

/// Small caps, so that a small input meets them.
fn policy(edits: &[&str]) -> Policy {
    let owned = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
    Policy::new(&redact::Settings {
        enabled: true,
        action: Action::Mask("****".to_owned()),
        keys: owned(&["password", "*token", "cookie"]),
        keep_keys: Vec::new(),
        urls: owned(&["url.full", "url.query"]),
        detectors: Detectors { bearer: true, jwt: true, card: true, email: true, assignment: true },
        caps: Caps {
            attributes_max: 8,
            key_bytes_max: 32,
            value_bytes_max: 256,
            body_bytes_max: 512,
            elements_max: 16,
            events_max: 4,
            links_max: 4,
        },
        edit: edit::Settings { rules: owned(edits), key: [7; 32] },
    })
    .expect("the policy is right")
}
