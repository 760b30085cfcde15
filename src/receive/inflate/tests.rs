use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::*;
use crate::receive::budget::{Budget, Sender};

const MIB: usize = 1 << 20;

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    Bytes::from(encoder.finish().unwrap())
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.into_inner().unwrap()
}

/// A gzip member of `mib` MiB of zeros.
fn bomb(mib: usize) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; MIB];
    for _ in 0..mib {
        encoder.write_all(&zeros).unwrap();
    }
    Bytes::from(encoder.finish().unwrap())
}

async fn inflated(coding: Coding, encoded: Bytes, limit: usize) -> Result<Bytes, Refusal> {
    let budget = Budget::new(8 * MIB);
    let hold = budget.take(Sender::next(), encoded.len()).unwrap();
    let out = inflate(coding, encoded, limit, Deadline::default(), hold).await;
    out.map(|(bytes, _)| bytes).map_err(|denial| denial.refusal)
}

#[tokio::test]
async fn every_coding_gives_back_what_was_compressed() {
    let text: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(&text).unwrap();
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
    raw.write_all(&text).unwrap();
    let bodies = [
        (Coding::Identity, text.clone()),
        (Coding::Gzip, gzip(&text).to_vec()),
        (Coding::Deflate, zlib.finish().unwrap()),
        (Coding::Deflate, raw.finish().unwrap()),
        (Coding::Zstd, zstd::encode_all(&*text, 1).unwrap()),
        (Coding::Snappy, snap::raw::Encoder::new().compress_vec(&text).unwrap()),
        (Coding::Snappy, framed(&text)),
        (Coding::SnappyFramed, framed(&text)),
    ];
    for (coding, body) in bodies {
        let out = inflated(coding, Bytes::from(body), 2 * MIB).await;
        assert_eq!(out.as_deref(), Ok(&*text), "{coding:?}");
    }
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit_and_no_byte_larger() {
    let body = gzip(&vec![7; MIB]);
    assert_eq!(inflated(Coding::Gzip, body.clone(), MIB).await.map(|out| out.len()), Ok(MIB));
    assert_eq!(inflated(Coding::Gzip, body, MIB - 1).await, Err(Refusal::TooLarge));
}

#[tokio::test]
async fn members_of_a_gzip_body_count_together_against_the_limit() {
    let member = gzip(&vec![7; MIB]);
    let body = Bytes::from([&*member, &*member].concat());
    assert_eq!(inflated(Coding::Gzip, body, MIB + 1).await, Err(Refusal::TooLarge));
}

/// 100 KB of zstd at most, for 1 GiB of zeros.
fn zstd_bomb() -> Bytes {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let zeros = vec![0; MIB];
    for _ in 0..1024 {
        encoder.write_all(&zeros).unwrap();
    }
    Bytes::from(encoder.finish().unwrap())
}

#[tokio::test]
async fn a_bomb_never_takes_more_than_the_limit_and_a_step_of_the_budget() {
    for (coding, body) in [(Coding::Gzip, bomb(1024)), (Coding::Zstd, zstd_bomb())] {
        let budget = Budget::new(64 * MIB);
        assert!(body.len() < 2 * MIB && (coding == Coding::Gzip || body.len() < 100_000));
        let hold = budget.take(Sender::next(), body.len()).unwrap();
        let limit = 4 * MIB;
        let mut inflation = Inflation::new(coding, body.clone(), limit, hold).unwrap();

        assert_eq!(inflation.run(usize::MAX).unwrap_err().refusal, Refusal::TooLarge);
        assert!(inflation.out.capacity() <= limit + 1);
        let window = if coding == Coding::Zstd { limit + 1 } else { 0 };
        assert!(64 * MIB - budget.left_bytes() <= body.len() + limit + 1 + window);
        drop(inflation);
        assert_eq!(budget.left_bytes(), 64 * MIB);
    }
}

#[tokio::test]
async fn a_bomb_that_does_not_fit_the_budget_is_busy_and_not_inflated() {
    assert_eq!(inflated(Coding::Gzip, bomb(32), 64 * MIB).await, Err(Refusal::Busy));
}

#[tokio::test]
async fn a_zstd_frame_with_a_window_past_8_mib_is_refused() {
    // Magic, no content size, the window's size as a power of two, an empty last block.
    let frame = |log: u8| [0x28, 0xb5, 0x2f, 0xfd, 0x00, (log - 10) << 3, 0x01, 0x00, 0x00];
    for (log, expected) in
        [(23, Ok(Bytes::new())), (24, Err(Refusal::Malformed)), (31, Err(Refusal::Malformed))]
    {
        let body = Bytes::copy_from_slice(&frame(log));
        assert_eq!(inflated(Coding::Zstd, body, MIB).await, expected, "window log {log}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_malformed() {
    let whole = gzip(b"some text that is long enough to be cut");
    let cut = whole.slice(..whole.len() - 9);
    assert_eq!(inflated(Coding::Gzip, cut, MIB).await, Err(Refusal::Malformed));
    let noise = Bytes::from_static(b"not gzip at all");
    assert_eq!(inflated(Coding::Gzip, noise, MIB).await, Err(Refusal::Malformed));
}

#[tokio::test]
async fn frames_of_zstd_count_together_and_skippable_ones_make_nothing() {
    let frame = zstd::encode_all(&*vec![7; MIB], 1).unwrap();
    let twice = Bytes::from([&*frame, &*frame].concat());
    assert_eq!(
        inflated(Coding::Zstd, twice.clone(), 2 * MIB).await.map(|it| it.len()),
        Ok(2 * MIB)
    );
    assert_eq!(inflated(Coding::Zstd, twice, 2 * MIB - 1).await, Err(Refusal::TooLarge));

    let skippable = [&[0x50, 0x2a, 0x4d, 0x18][..], &1000_u32.to_le_bytes(), &[1; 1000]].concat();
    let body = Bytes::from([&*skippable.repeat(1000), &*frame].concat());
    assert_eq!(inflated(Coding::Zstd, body, MIB).await.map(|it| it.len()), Ok(MIB));
    // A skippable frame that claims 4 GiB ends with the body.
    let lying = Bytes::from_static(&[0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]);
    assert_eq!(inflated(Coding::Zstd, lying, MIB).await, Err(Refusal::Malformed));
}

#[tokio::test]
async fn frames_that_all_tell_their_length_are_inflated_at_one_go() {
    let told = |text: &[u8]| zstd::bulk::compress(text, 1).unwrap();
    let untold = zstd::encode_all(&b"three"[..], 1).unwrap();
    let [one, two] = [&b"one"[..], b"two"].map(told);
    let of = |body: &[u8]| Coding::Zstd.told_bytes(body);

    assert_eq!(of(&[&one[..], &two].concat()), Some(6));
    assert_eq!(of(&[&one[..], &two, &untold].concat()), None);
    assert_eq!(of(&[&one[..], &two[..two.len() - 1]].concat()), None);
    assert_eq!((of(&one.repeat(64)), of(&one.repeat(65))), (Some(3 * 64), None));
    let both = [one.clone(), two, one.repeat(64)].concat();
    let bytes = inflated(Coding::Zstd, both.into(), MIB).await.unwrap();
    assert_eq!(bytes, [&b"onetwo"[..], &b"one".repeat(64)].concat());
}

#[tokio::test]
async fn a_zstd_body_that_tells_its_length_is_held_to_it() {
    let text: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    // The last is inflated away from the async threads.
    for length in [1_000, 300_000, 1_200_000] {
        let body = Bytes::from(zstd::bulk::compress(&text[..length], 1).unwrap());
        let out = inflated(Coding::Zstd, body.clone(), length).await.unwrap();
        assert!(out == text[..length]);
        assert_eq!(inflated(Coding::Zstd, body.clone(), length - 1).await, Err(Refusal::TooLarge));
        let cut = body.slice(..body.len() - 1);
        assert_eq!(inflated(Coding::Zstd, cut, 2 * MIB).await, Err(Refusal::Malformed));
        // The length stands behind the magic number, the descriptor, and the window if there is one.
        let at = if body[4] & 0x20 == 0 { 6 } else { 5 };
        for lie in [0x01, 0xff] {
            let mut lying = body.to_vec();
            lying[at] ^= lie;
            let out = inflated(Coding::Zstd, Bytes::from(lying), 2 * MIB).await;
            assert_eq!(out.err(), Some(Refusal::Malformed), "{length} bytes, {lie:#x}");
        }
    }
}

#[tokio::test]
async fn a_zstd_body_that_tells_more_than_the_budget_has_is_busy() {
    let body = Bytes::from(zstd::bulk::compress(&vec![0; 32 * MIB], 1).unwrap());
    assert!(body.len() < 8192);
    assert_eq!(inflated(Coding::Zstd, body, 64 * MIB).await, Err(Refusal::Busy));
}

#[tokio::test]
async fn what_one_body_left_in_a_context_is_not_seen_by_the_next() {
    let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let streamed = Bytes::from(zstd::encode_all(&*text, 1).unwrap());
    let told = Bytes::from(zstd::bulk::compress(&text, 1).unwrap());
    for _ in 0..8 {
        for body in [&streamed, &told] {
            let out = inflated(Coding::Zstd, body.clone(), MIB).await.unwrap();
            assert!(out == text);
            let broken = inflated(Coding::Zstd, body.slice(..body.len() / 2), MIB).await;
            assert_eq!(broken, Err(Refusal::Malformed));
        }
    }
}

#[tokio::test]
async fn gzip_within_gzip_is_inflated_once() {
    let inner = gzip(b"text");
    assert_eq!(inflated(Coding::Gzip, gzip(&inner), MIB).await, Ok(inner));
}

#[tokio::test]
async fn a_snappy_block_is_refused_by_the_length_that_it_declares() {
    let body = Bytes::from(snap::raw::Encoder::new().compress_vec(&vec![7; MIB]).unwrap());
    assert_eq!(inflated(Coding::Snappy, body.clone(), MIB).await.map(|it| it.len()), Ok(MIB));
    assert_eq!(inflated(Coding::Snappy, body.clone(), MIB - 1).await, Err(Refusal::TooLarge));
    assert_eq!(inflated(Coding::SnappyFramed, body, MIB).await, Err(Refusal::Malformed));
    // 4 GiB less one.
    let huge = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1]);
    assert_eq!(inflated(Coding::Snappy, huge, 64 * MIB).await, Err(Refusal::TooLarge));
    // 32 MiB of three bytes: within the limit, past what the budget holds, and a lie.
    let lie = Bytes::from_static(&[0x80, 0x80, 0x80, 0x10, 0, 1, 2]);
    assert_eq!(inflated(Coding::Snappy, lie, 64 * MIB).await, Err(Refusal::Malformed));
}

#[tokio::test]
async fn a_snappy_block_takes_what_it_declares_from_the_budget() {
    let body = Bytes::from(snap::raw::Encoder::new().compress_vec(&vec![7; 32 * MIB]).unwrap());
    assert_eq!(inflated(Coding::Snappy, body, 64 * MIB).await, Err(Refusal::Busy));
}

#[tokio::test]
async fn snappy_frames_count_together_against_the_limit() {
    let body = Bytes::from(framed(&vec![7; 2 * MIB]));
    assert_eq!(
        inflated(Coding::Snappy, body.clone(), 2 * MIB).await.map(|it| it.len()),
        Ok(2 * MIB)
    );
    assert_eq!(inflated(Coding::Snappy, body.clone(), MIB).await, Err(Refusal::TooLarge));
    let cut = body.slice(..body.len() - 1);
    assert_eq!(inflated(Coding::Snappy, cut, 2 * MIB).await, Err(Refusal::Malformed));
}

/// What tells frames from a block: no block begins as frames do.
#[test]
fn the_mark_of_snappy_frames_never_begins_a_block() {
    let mark = framed(b"").first_chunk::<10>().copied();
    assert_eq!(mark, None, "nothing is written for nothing");
    let mark = framed(b"x")[..10].to_vec();
    assert!(is_framed(&mark));
    for rest in [vec![], vec![0; 1000], vec![0xff; 1000], (0..=255).collect()] {
        let block = [&*mark, &*rest].concat();
        assert!(snap::raw::Decoder::new().decompress_vec(&block).is_err());
    }
}

#[tokio::test]
async fn nothing_is_inflated_past_the_deadline() {
    let headers = HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), "0n".parse().unwrap())]);
    let late = Deadline::of(&headers);
    for coding in [Coding::Identity, Coding::Gzip, Coding::Snappy] {
        let hold = Budget::new(MIB).take(Sender::next(), 10).unwrap();
        let out = inflate(coding, Bytes::from_static(b"noise"), MIB, late, hold).await;
        assert_eq!(out.unwrap_err().refusal, Refusal::Deadline, "{coding:?}");
    }
}

proptest! {
    #[test]
    fn no_body_is_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), start in 0..5_usize) {
        let starts = [&b""[..], b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\xff\x06\0\0sNaPpY", b"\x78\x9c"];
        let body = Bytes::from([starts[start], &*bytes].concat());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd, Coding::Snappy, Coding::SnappyFramed] {
            drop(runtime.block_on(inflated(coding, body.clone(), MIB)));
        }
    }
}
