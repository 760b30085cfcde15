//! Which items came.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use hopline::evidence::Signal;
use memchr::memmem::Finder;

use crate::items;
use crate::load::shop::PLANTED;
use crate::shape::Compression;

/// One request in so many is searched for secrets.
const SEARCHED: u64 = 16;

/// No load numbers its items higher than this.
const NUMBERS_MAX: u64 = 1 << 32;

/// What a sink saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    /// Different items of the load.
    pub(crate) items: u64,
    /// Items that were there before.
    pub(crate) again: u64,
    /// Items that the load never sent, or whose trace is not theirs.
    pub(crate) foreign: u64,
    /// Of the searched requests, those with a secret.
    pub(crate) leaking: u64,
    /// Requests that could not be read.
    pub(crate) unreadable: u64,
}

/// Remembers each item by one bit.
pub(crate) struct Counter {
    signal: Signal,
    seen: Vec<u64>,
    counts: Counts,
    searched: u64,
    finder: Finder<'static>,
    /// Kept, so that it grows only once.
    plain: Vec<u8>,
}

impl Counter {
    pub(crate) fn new(signal: Signal) -> Self {
        Self {
            signal,
            seen: Vec::new(),
            counts: Counts::default(),
            searched: 0,
            finder: Finder::new(PLANTED),
            plain: Vec::new(),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Counts the items of one request. What is of another signal is not what is measured.
    pub(crate) fn take(&mut self, signal: Signal, compression: Compression, body: &[u8]) {
        if signal != self.signal {
            return;
        }
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        let inflated = match compression {
            Compression::None => Ok(0),
            Compression::Gzip => MultiGzDecoder::new(body).read_to_end(&mut plain),
            Compression::Zstd => zstd::Decoder::with_buffer(body)
                .and_then(|mut decoder| decoder.read_to_end(&mut plain)),
        };
        let bytes = if compression == Compression::None { body } else { &plain };
        let walked = inflated.is_ok() && self.count(bytes);
        self.counts.unreadable += u64::from(!walked);
        self.plain = plain;
    }

    fn count(&mut self, bytes: &[u8]) -> bool {
        self.searched += 1;
        if self.searched.is_multiple_of(SEARCHED) && self.finder.find(bytes).is_some() {
            self.counts.leaking += 1;
        }
        let signal = self.signal;
        items::each(signal, bytes, &mut |item| match items::read(signal, item) {
            Some(item) if item.is_whole && item.number < NUMBERS_MAX => self.mark(item.number),
            _ => self.counts.foreign += 1,
        })
        .is_ok()
    }

    fn mark(&mut self, number: u64) {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= self.seen.len() {
            self.seen.resize((word + 1).next_power_of_two(), 0);
        }
        if self.seen[word] & bit == 0 {
            self.seen[word] |= bit;
            self.counts.items += 1;
        } else {
            self.counts.again += 1;
        }
    }
}
