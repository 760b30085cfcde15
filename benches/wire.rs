//! Reading and editing a request as bytes, against decoding it with prost.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark may panic, and prints"
)]

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use hopline::evidence::{Position, Signal, Symbols};
use hopline::limit::Interner;
use hopline::wire::{Fields, Message, Role, Splice, Value, role, write_varint};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

#[path = "support/compare.rs"]
mod compare;
#[path = "support/requests.rs"]
mod requests;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SPANS: usize = 1000;
/// How the attribute that is taken out begins.
const THREAD_NAME: &[u8] = b"\x0a\x0bthread.name";

fn main() {
    let request = requests::traces(SPANS, 1);
    let bytes = Bytes::from(request.encode_to_vec());
    println!("{} spans, {} bytes each", SPANS, bytes.len() / SPANS);

    let mut interner = Interner::new(Arc::new(Symbols::new(1000)));
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("wire");
    group.throughput(Throughput::Elements(SPANS as u64));
    group.bench_function("full read", |it| it.iter(|| read(&bytes)));
    group.bench_function("facts read", |it| it.iter(|| observe(&bytes, &mut interner)));
    group.bench_function("prost decode", |it| it.iter(|| decode(&bytes)));
    group.bench_function("splice of 3 edits", |it| it.iter(|| splice(&bytes)));
    group.bench_function("prost decode, edit, encode", |it| it.iter(|| edit(&bytes)));
    group.finish();
    criterion.final_summary();

    assert_eq!(ExportTraceServiceRequest::decode(splice(&bytes)).unwrap(), edited(&bytes));
    compare::compare(
        "full read / prost decode",
        SPANS,
        || _ = black_box(read(&bytes)),
        || {
            drop(black_box(decode(&bytes)));
        },
    );
    compare::compare(
        "facts read / prost decode",
        SPANS,
        || _ = black_box(observe(&bytes, &mut interner)),
        || {
            drop(black_box(decode(&bytes)));
        },
    );
    compare::compare(
        "3 edits by splice / by prost",
        SPANS,
        || drop(black_box(splice(&bytes))),
        || {
            drop(black_box(edit(&bytes)));
        },
    );
}

/// Visits every field of every message, checks every string, keeps a sum.
fn read(bytes: &Bytes) -> u64 {
    walk(Message::TracesRequest, bytes)
}

fn walk(message: Message, content: &[u8]) -> u64 {
    let mut sum = 0;
    for field in Fields::new(content) {
        let field = field.unwrap();
        sum += match role(message, field.number) {
            Role::Into(inner) => walk(inner, field.bytes().unwrap()),
            Role::Text => field.utf8().unwrap().len() as u64,
            _ => match field.value {
                Value::Varint(number) | Value::Fixed64(number) => number,
                Value::Fixed32(number) => u64::from(number),
                Value::Bytes(bytes) => bytes.len() as u64,
                Value::Group => 0,
            },
        };
    }
    sum
}

/// What the join needs: ids, times and the attributes that facts are made of.
fn observe(bytes: &Bytes, interner: &mut Interner) -> u64 {
    let mut sum = 0;
    hopline::normalize::observe(Signal::Traces, bytes, &mut |observed| {
        let evidence = black_box(interner.evidence(observed, Position(0)));
        sum += evidence.facts.start.0 ^ evidence.facts.duration_ns;
    })
    .unwrap();
    sum
}

fn decode(bytes: &Bytes) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(bytes.clone()).unwrap()
}

/// Renames the span, takes one attribute out, adds one.
fn splice(bytes: &Bytes) -> Bytes {
    let mut splice = Splice::new();
    let mut added = vec![0x4a];
    let pair = requests::text("gateway", "hopline").encode_to_vec();
    write_varint(&mut added, pair.len() as u64);
    added.extend_from_slice(&pair);
    change(bytes, Message::TracesRequest, 0..bytes.len(), &added, &mut splice);
    splice.finish(bytes).unwrap()
}

fn change(bytes: &[u8], message: Message, content: Range<usize>, added: &[u8], out: &mut Splice) {
    for field in Fields::new(&bytes[content.clone()]) {
        let field = field.unwrap();
        let end = content.start + field.end;
        match (message, field.number, role(message, field.number)) {
            (Message::Span, 5, _) => {
                let old = end - field.bytes().unwrap().len()..end;
                out.replace(content.start + field.body, old, b"renamed");
            }
            (Message::Span, 9, _) if field.bytes().unwrap().starts_with(THREAD_NAME) => {
                out.remove(content.start + field.start..end);
            }
            (_, 2, Role::Into(inner)) | (Message::TracesRequest, 1, Role::Into(inner)) => {
                let inside = end - field.bytes().unwrap().len()..end;
                out.enter(content.start + field.body, inside.clone());
                change(bytes, inner, inside, added, out);
                out.leave();
            }
            _ => {}
        }
    }
    if message == Message::Span {
        out.insert(content.end, added);
    }
}

fn edit(bytes: &Bytes) -> Vec<u8> {
    edited(bytes).encode_to_vec()
}

fn edited(bytes: &Bytes) -> ExportTraceServiceRequest {
    let mut request = decode(bytes);
    let scopes = request.resource_spans.iter_mut().flat_map(|it| &mut it.scope_spans);
    for span in scopes.flat_map(|it| &mut it.spans) {
        "renamed".clone_into(&mut span.name);
        span.attributes.retain(|it| it.key != "thread.name");
        span.attributes.push(requests::text("gateway", "hopline"));
    }
    request
}
