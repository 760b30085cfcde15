use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;
use crate::receive::budget::Budget;

const MIB: usize = 1 << 20;

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    Bytes::from(encoder.finish().unwrap())
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
    let hold = budget.take(encoded.len()).unwrap();
    let out = inflate(coding, encoded, limit, hold).await;
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
        let hold = budget.take(body.len()).unwrap();
        let limit = 4 * MIB;
        let mut inflation = Inflation::new(coding, body.clone(), limit, hold).unwrap();

        assert_eq!(inflation.run(usize::MAX).unwrap_err().refusal, Refusal::TooLarge);
        assert!(inflation.out.capacity() <= limit + 1);
        assert!(64 * MIB - budget.left_bytes() <= body.len() + limit + 2048);
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
