//! From the parts of a request to its body: framed for gRPC, compressed, or as they are.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::{Compress, FlushCompress, Status};
use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd::zstd_safe::{CCtx, InBuffer, OutBuffer, ResetDirective, compress_bound};

use super::batch::Piece;
use super::body::Packed;
use super::{Compression, Destination, Protocol};
use crate::wire::zstd::{Idle, LEVEL, encoder, failed};

/// The compressed flag and the length, which gRPC puts before a message.
pub(super) const PREFIX_BYTES: usize = 5;

/// Smaller pieces are copied together: each one costs a frame, whose size in HTTP/2 this is.
const GATHER_BYTES: usize = 16 << 10;

/// What gzip may take more than its input: 5 bytes in each block of 16 KiB, head and checksum.
const GZIP_BLOCK_BYTES: usize = 16 << 10;
const GZIP_FIXED_BYTES: usize = 64;

/// The largest window of gzip, in bits.
const GZIP_WINDOW_BITS: u8 = 15;

/// Makes bodies. One compressor for each request that is being packed is kept for the next: making
/// one costs more than compressing a small request.
pub(super) struct Packers {
    compression: Compression,
    level: u32,
    protocol: Protocol,
    idle: Idle<Packer>,
}

enum Packer {
    Gzip(Box<Compress>),
    Zstd(CCtx<'static>),
}

/// Whether a destination is sent the very frames of the log. While there is one, they are what it would
/// be sent anyway.
#[must_use]
pub fn takes_frames(compression: Compression, level: u32) -> bool {
    compression == Compression::Zstd && level == LEVEL
}

/// What a compressor of this kind and level may hold.
#[must_use]
pub fn context_bytes(compression: Compression, level: u32) -> u64 {
    match (compression, level) {
        (Compression::None, _) => 0,
        (Compression::Gzip, _) => 1 << 20,
        (Compression::Zstd, 0..=2) => 2 << 20,
        (Compression::Zstd, 3..=8) => 10 << 20,
        (Compression::Zstd, _) => 24 << 20,
    }
}

impl Packers {
    pub(super) fn new(destination: &Destination) -> Self {
        Self {
            compression: destination.compression,
            level: destination.level,
            protocol: destination.protocol,
            idle: Idle::new(destination.concurrency),
        }
    }

    /// Whether packing so many bytes takes so long, more than a millisecond or two, that it must
    /// leave the async threads.
    pub(super) fn is_slow(&self, pieces: &[Piece]) -> bool {
        let bytes: usize = pieces.iter().filter_map(Piece::plain).map(Bytes::len).sum();
        match (self.compression, self.level) {
            (Compression::None, _) => false,
            (Compression::Zstd, 0..=3) => bytes > 1 << 20,
            (Compression::Gzip | Compression::Zstd, _) => bytes > 128 << 10,
        }
    }

    /// The body of a request with these pieces. Frames stay as they are, and what lies between two
    /// of them becomes one: a decoder puts together what they make.
    pub(super) fn pack(&self, pieces: &[Piece]) -> io::Result<Packed> {
        let mut parts = Vec::new();
        for run in pieces.chunk_by(|one, next| one.plain().is_some() && next.plain().is_some()) {
            let plain: Vec<_> = run.iter().filter_map(Piece::plain).cloned().collect();
            match run {
                [Piece::Packed(frame)] => parts.push(frame.clone()),
                _ if self.compression == Compression::None => parts.extend(plain),
                _ => parts.push(self.compressed(&plain)?),
            }
        }
        self.framed(&parts)
    }

    fn compressed(&self, parts: &[Bytes]) -> io::Result<Bytes> {
        let mut packer = match self.idle.take() {
            Some(packer) => packer,
            None => Packer::new(self.compression, self.level)?,
        };
        let mut out = Vec::new();
        packer.run(parts, &mut out)?;
        self.idle.keep(packer);
        out.shrink_to_fit();
        Ok(Bytes::from(out))
    }

    /// One after the other, for gRPC with what it puts before a message.
    fn framed(&self, parts: &[Bytes]) -> io::Result<Packed> {
        let together = parts.iter().map(Bytes::len).filter(|bytes| *bytes < GATHER_BYTES);
        let mut small = BytesMut::with_capacity(PREFIX_BYTES + together.sum::<usize>());
        if self.protocol == Protocol::Grpc {
            let flag = u8::from(self.compression != Compression::None);
            small.put_slice(&prefix(flag, parts.iter().map(Bytes::len).sum())?);
        }
        let mut pieces = Vec::new();
        for part in parts {
            if part.len() < GATHER_BYTES {
                small.put_slice(part);
                continue;
            }
            if !small.is_empty() {
                pieces.push(small.split().freeze());
            }
            pieces.push(part.clone());
        }
        if !small.is_empty() {
            pieces.push(small.freeze());
        }
        Ok(Packed::new(pieces))
    }
}

impl Packer {
    fn new(compression: Compression, level: u32) -> io::Result<Self> {
        if compression == Compression::Gzip {
            let level = flate2::Compression::new(level);
            return Ok(Self::Gzip(Box::new(Compress::new_gzip(level, GZIP_WINDOW_BITS))));
        }
        encoder(level).map(Self::Zstd)
    }

    /// Compresses the parts as one stream to the end of `out`. The room for the worst case is
    /// reserved beforehand: what is not written to costs nothing, and the rest is never moved.
    fn run(&mut self, parts: &[Bytes], out: &mut Vec<u8>) -> io::Result<()> {
        let bytes: usize = parts.iter().map(Bytes::len).sum();
        match self {
            Self::Gzip(context) => {
                context.reset();
                let blocks = bytes / GZIP_BLOCK_BYTES + 1;
                out.reserve(bytes + 5 * blocks + GZIP_FIXED_BYTES);
                gzip(context, parts, out)
            }
            Self::Zstd(context) => {
                context.reset(ResetDirective::SessionOnly).map_err(failed)?;
                context.set_pledged_src_size(Some(bytes as u64)).map_err(failed)?;
                out.reserve(compress_bound(bytes));
                zstd(context, parts, out)
            }
        }
    }
}

fn gzip(context: &mut Compress, parts: &[Bytes], out: &mut Vec<u8>) -> io::Result<()> {
    for part in parts {
        let mut rest = &part[..];
        while !rest.is_empty() {
            let before = context.total_in();
            context.compress_vec(rest, out, FlushCompress::None)?;
            let taken = usize::try_from(context.total_in() - before).map_err(io::Error::other)?;
            rest = rest.get(taken..).unwrap_or_default();
            make_room(out);
        }
    }
    while context.compress_vec(&[], out, FlushCompress::Finish)? != Status::StreamEnd {
        make_room(out);
    }
    Ok(())
}

/// At one go: a stream would copy what it reads into a window of its own, and search two memories.
/// Parts are put together for it, which is cheaper.
fn zstd(context: &mut CCtx<'_>, parts: &[Bytes], out: &mut Vec<u8>) -> io::Result<()> {
    let gathered;
    let whole = match parts {
        [one] => one,
        several => {
            gathered = several.concat();
            &gathered[..]
        }
    };
    let at = out.len();
    let mut output = OutBuffer::around_pos(out, at);
    let mut input = InBuffer::around(whole);
    let end = ZSTD_EndDirective::ZSTD_e_end;
    let left = context.compress_stream2(&mut output, &mut input, end).map_err(failed)?;
    if left > 0 {
        return Err(io::Error::other("the bound of zstd was too small"));
    }
    Ok(())
}

/// The reserve was for the worst case; should it be worse, nothing loops.
fn make_room(out: &mut Vec<u8>) {
    if out.len() == out.capacity() {
        out.reserve(GATHER_BYTES);
    }
}

fn prefix(flag: u8, length: usize) -> io::Result<[u8; PREFIX_BYTES]> {
    let [a, b, c, d] = u32::try_from(length).map_err(io::Error::other)?.to_be_bytes();
    Ok([flag, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use http_body_util::BodyExt as _;
    use proptest::prelude::*;

    use super::*;

    fn packers(compression: Compression, level: u32, protocol: Protocol) -> Packers {
        Packers::new(&Destination { compression, level, protocol, ..Destination::new("a", "b") })
    }

    fn bytes(packed: Packed) -> Vec<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(packed.collect()).unwrap().to_bytes().to_vec()
    }

    fn unpacked(compression: Compression, packed: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match compression {
            Compression::None => plain = packed.to_vec(),
            Compression::Gzip => {
                flate2::read::GzDecoder::new(packed).read_to_end(&mut plain).unwrap();
            }
            Compression::Zstd => plain = zstd::decode_all(packed).unwrap(),
        }
        plain
    }

    #[test]
    fn large_pieces_are_the_memory_they_came_in() {
        let large = Bytes::from(vec![7; GATHER_BYTES]);
        let small = [b"a", b"b"].map(|text| Piece::Plain(Bytes::from_static(text)));
        let [first, second] = small;
        let pieces = [first, second, Piece::Plain(large.clone())];

        let packed = packers(Compression::None, 1, Protocol::Grpc).pack(&pieces).unwrap();

        assert_eq!(packed.pieces[1].as_ptr(), large.as_ptr());
        assert_eq!(packed.pieces[0], &b"\0\0\0\x40\x02ab"[..]);
    }

    #[test]
    fn a_compressor_holds_no_more_than_is_said() {
        let text: Vec<u8> = (0..8 << 20).map(|_| fastrand::u8(0..20)).collect();
        for level in 1..=9 {
            let mut packer = Packer::new(Compression::Zstd, level).unwrap();
            packer.run(&[Bytes::from(text.clone())], &mut Vec::new()).unwrap();
            let Packer::Zstd(context) = packer else { panic!("zstd was asked for") };
            let (held, bound) = (context.sizeof() as u64, context_bytes(Compression::Zstd, level));
            assert!(held <= bound && held * 6 > bound, "level {level}: {held} of {bound}");
        }
    }

    #[test]
    fn frames_are_passed_and_what_lies_between_becomes_one() {
        let frame = |text: &[u8]| Bytes::from(zstd::encode_all(text, 1).unwrap());
        let (first, last) = (frame(b"first "), frame(&[b'l'; GATHER_BYTES]));
        let plain = |text: &'static [u8]| Piece::Plain(Bytes::from_static(text));
        let pieces = [
            plain(b"a "),
            Piece::Packed(first.clone()),
            plain(b"b "),
            plain(b"c "),
            Piece::Packed(last.clone()),
        ];
        let whole = [&b"a first b c "[..], &[b'l'; GATHER_BYTES]].concat();
        for protocol in [Protocol::Http, Protocol::Grpc] {
            let packed = packers(Compression::Zstd, 1, protocol).pack(&pieces).unwrap();
            let sent = bytes(packed);
            let begin = if protocol == Protocol::Grpc { PREFIX_BYTES } else { 0 };
            let (prefix, body) = sent.split_at(begin);
            assert!(body.windows(first.len()).any(|it| it == first) && body.ends_with(&last));
            assert_eq!(unpacked(Compression::Zstd, body), whole);
            assert_eq!(prefix, &super::prefix(1, body.len()).unwrap()[..begin]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_packed_is_what_is_unpacked(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40_000), 1..4),
            level in 1..=9_u32,
        ) {
            let whole = parts.concat();
            let parts: Vec<_> =
                parts.into_iter().map(|part| Piece::Plain(Bytes::from(part))).collect();
            for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
                let http = packers(compression, level, Protocol::Http);
                let grpc = packers(compression, level, Protocol::Grpc);
                // The second run has the first one's context.
                for _ in 0..2 {
                    let packed = bytes(http.pack(&parts).unwrap());
                    prop_assert_eq!(unpacked(compression, &packed), &whole[..]);
                    let framed = bytes(grpc.pack(&parts).unwrap());
                    let (prefix, message) = framed.split_at(PREFIX_BYTES);
                    let flag = u8::from(compression != Compression::None);
                    prop_assert_eq!(prefix, super::prefix(flag, message.len()).unwrap());
                    prop_assert_eq!(unpacked(compression, message), &whole[..]);
                }
            }
        }
    }
}
