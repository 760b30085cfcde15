//! The bodies of a load: no two of them have an id in common.
//!
//! A plain body is a copy of a template with other ids, which is cheap. A compressed one cannot be
//! changed, so all of them are made before anything is measured.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use flate2::write::GzEncoder;
use hopline::evidence::Signal;
use prost::Message as _;

use super::template::Template;
use super::{logs, metrics, traces};
use crate::ids::TRACE_SPANS;
use crate::shape::{Compression, Pace, Protocol, Shape};

/// What SDKs compress with.
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// The compressed flag and the length.
const PREFIX_BYTES: usize = 5;

/// Different contents; what is sent differs in its ids.
const TEMPLATE_ITEMS: usize = 32_000;

const SEED: u64 = 4711;

pub(crate) struct Bodies {
    shape: Shape,
    templates: Vec<Template>,
    /// Empty for plain bodies.
    made: Vec<Bytes>,
}

/// Hands out each body once.
pub(crate) struct Supply {
    bodies: Arc<Bodies>,
    next: AtomicU64,
    /// Begins again after the last, with ids that were there before.
    is_endless: bool,
}

impl Bodies {
    /// Enough for `duration`, as far as can be told.
    pub(crate) fn new(shape: Shape, now: Duration, duration: Duration) -> Self {
        let mut random = Rng::with_seed(SEED);
        let start = u64::try_from(now.as_nanos()).unwrap();
        let count = (TEMPLATE_ITEMS / shape.batch).clamp(16, 2_000);
        let template = |_| Template::new(shape.signal, encode(shape, start, &mut random));
        let templates = (0..count).map(template).collect();
        let mut bodies = Self { shape, templates, made: Vec::new() };
        if shape.compression != Compression::None {
            bodies.make(bodies.needed(duration));
        }
        bodies
    }

    pub(crate) fn supply(self: &Arc<Self>) -> Supply {
        Supply { bodies: Arc::clone(self), next: AtomicU64::new(0), is_endless: false }
    }

    pub(crate) fn endless(self: &Arc<Self>) -> Supply {
        Supply { is_endless: true, ..self.supply() }
    }

    /// Mean size of a request, uncompressed and as it is sent.
    pub(crate) fn bytes(&self) -> (usize, usize) {
        let mut plain = Vec::new();
        self.templates.iter().for_each(|template| template.write(0, &mut plain));
        let plain = plain.len() / self.templates.len();
        let sent = self.made.iter().take(100).map(Bytes::len).sum::<usize>();
        (plain, sent.checked_div(self.made.len().min(100)).unwrap_or(plain))
    }

    /// More than any gateway took so far on one processor. If one takes more, its round ends early.
    fn needed(&self, duration: Duration) -> usize {
        let most = match (self.shape.signal, self.shape.compression) {
            (Signal::Traces, Compression::Gzip) => 400_000,
            (Signal::Traces, _) => 550_000,
            (_, Compression::Gzip) => 700_000,
            (_, _) => 1_200_000,
        };
        let rate = match self.shape.pace {
            Pace::Open(rate) => rate + rate / 10,
            Pace::Closed | Pace::Half => most,
        };
        let millis = u64::try_from(duration.as_millis()).unwrap();
        (rate * millis / 1000) as usize / self.shape.batch + 1
    }

    fn make(&mut self, count: usize) {
        let half = count / 2;
        let made = std::thread::scope(|scope| {
            let second = scope.spawn(|| self.range(half..count));
            let mut made = self.range(0..half);
            made.extend(second.join().unwrap());
            made
        });
        self.made = made;
    }

    fn range(&self, range: std::ops::Range<usize>) -> Vec<Bytes> {
        let mut plain = Vec::new();
        let mut compress = compressor(self.shape.compression);
        let one = |number: usize| {
            plain.clear();
            self.template(number).write(self.base(number), &mut plain);
            frame(self.shape, |out| compress(&plain, out))
        };
        range.map(one).collect()
    }

    fn body(&self, number: usize) -> Bytes {
        if self.made.is_empty() {
            let template = self.template(number);
            return frame(self.shape, |out| template.write(self.base(number), out));
        }
        self.made[number % self.made.len()].clone()
    }

    fn template(&self, number: usize) -> &Template {
        &self.templates[number % self.templates.len()]
    }

    /// Traces begin with a body, so a body may leave some numbers out.
    fn base(&self, number: usize) -> u64 {
        (self.shape.batch as u64).next_multiple_of(TRACE_SPANS) * number as u64
    }
}

impl Supply {
    /// `None` when all were handed out.
    pub(crate) fn next(&self) -> Option<Bytes> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) as usize;
        let made = self.bodies.made.len();
        (self.is_endless || made == 0 || number < made).then(|| self.bodies.body(number))
    }
}

fn encode(shape: Shape, start: u64, random: &mut Rng) -> Vec<u8> {
    match shape.signal {
        Signal::Traces => traces::request(shape.batch, start, random).encode_to_vec(),
        Signal::Logs => logs::request(shape.batch, start, random).encode_to_vec(),
        Signal::Metrics => metrics::request(shape.batch, random).encode_to_vec(),
    }
}

/// A body as its protocol wants it.
fn frame(shape: Shape, fill: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::new();
    if shape.protocol == Protocol::Http {
        fill(&mut out);
        return Bytes::from(out);
    }
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    fill(&mut out);
    let length = u32::try_from(out.len() - PREFIX_BYTES).unwrap();
    out[0] = u8::from(shape.compression != Compression::None);
    out[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    Bytes::from(out)
}

/// Appends the compressed form of its first argument to its second.
type Compressor = Box<dyn FnMut(&[u8], &mut Vec<u8>)>;

fn compressor(compression: Compression) -> Compressor {
    match compression {
        Compression::None => Box::new(|plain, out| out.extend_from_slice(plain)),
        Compression::Gzip => Box::new(|plain, out| {
            let mut encoder = GzEncoder::new(out, flate2::Compression::new(GZIP_LEVEL));
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap();
        }),
        Compression::Zstd => {
            let mut context = zstd::bulk::Compressor::new(ZSTD_LEVEL).unwrap();
            Box::new(move |plain, out| out.extend(context.compress(plain).unwrap()))
        }
    }
}
