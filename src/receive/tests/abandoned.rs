//! A sender that goes away ends its request, but not the work on it that has gone to a thread.

use std::num::NonZero;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread::available_parallelism;

use tokio::runtime::Builder;
use tokio::task::spawn_blocking;

use super::*;
use crate::receive::budget::{Budget, Hold, Sender};
use crate::receive::deadline::Deadline;
use crate::receive::inflate::{Coding, inflate};
use crate::receive::intake::away;
use crate::receive::json::transcode;

const MIB: usize = 1 << 20;
const ALL: usize = 64 * MIB;

/// What is held by all work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Taken {
    bytes: usize,
    turns: usize,
}

/// What is held while someone waits for the work, when nobody does any more, and after its end.
struct Course {
    awaited: Taken,
    abandoned: Taken,
    ended: Taken,
}

fn poll<F: Future>(work: Pin<&mut F>) -> Poll<F::Output> {
    work.poll(&mut Context::from_waker(Waker::noop()))
}

/// How many large requests find no turn.
fn turns(budget: &Budget) -> usize {
    let all = available_parallelism().map_or(1, NonZero::get);
    let mut holds: Vec<_> = (0..all).map(|_| budget.take(Sender::next(), 0).unwrap()).collect();
    let begins = holds.iter_mut().map(|hold| {
        let begin = pin!(hold.begin(MIB, None, Deadline::default()));
        poll(begin).is_ready()
    });
    all - begins.filter(|is_ready| *is_ready).count()
}

fn taken(budget: &Budget) -> Taken {
    Taken { bytes: ALL - budget.left_bytes(), turns: turns(budget) }
}

/// Begins work on a request of so many bytes, and drops it when it has gone to a thread, the only
/// one, which is not free before that was seen.
fn abandon<F: Future>(bytes: usize, begin: impl FnOnce(Hold) -> F) -> Course {
    let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (free, is_free) = mpsc::channel::<()>();
        let busy = spawn_blocking(move || is_free.recv());
        let budget = Budget::new(ALL);
        let mut work = Box::pin(begin(budget.take(Sender::next(), bytes).unwrap()));
        assert!(poll(work.as_mut()).is_pending(), "it is not done here");
        let awaited = taken(&budget);
        drop(work);
        let abandoned = taken(&budget);
        drop(free);
        assert!(busy.await.unwrap().is_err());
        // The thread takes one after the other.
        spawn_blocking(|| ()).await.unwrap();
        Course { awaited, abandoned, ended: taken(&budget) }
    })
}

fn holds_on(course: &Course, bytes_min: usize, what: &str) {
    assert!(course.awaited.bytes >= bytes_min, "{what}: {:?}", course.awaited);
    assert_eq!(course.awaited.turns, 1, "{what}");
    assert_eq!(course.abandoned, course.awaited, "{what}");
    assert_eq!(course.ended, Taken { bytes: 0, turns: 0 }, "{what}");
}

#[test]
fn a_body_that_nobody_waits_for_holds_its_budget_and_turn_until_it_is_inflated() {
    // Repeated, so that those that can say how long they will be are short enough to be asked.
    let text: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
    let text = text.repeat(80);
    // The second and the last say it.
    let bodies = [
        (Coding::Gzip, gzip(&text), false),
        (Coding::Zstd, zstd::bulk::compress(&text, 1).unwrap(), true),
        (Coding::Zstd, zstd::encode_all(&*text, 1).unwrap(), false),
        (Coding::Snappy, snap::raw::Encoder::new().compress_vec(&text).unwrap(), true),
    ];
    for (coding, body, says) in bodies {
        let (bytes, body) = (body.len(), Bytes::from(body));
        assert_eq!(coding.told_bytes(&body).is_some(), says, "{coding:?}");
        let begin = |hold| inflate(coding, body, 8 * MIB, Deadline::default(), hold);
        holds_on(&abandon(bytes, begin), bytes + MIB, &format!("{coding:?}"));
    }
}

#[test]
fn text_that_nobody_waits_for_holds_its_budget_and_turn_until_it_is_parsed() {
    let text = Bytes::from(" ".repeat(2 * MIB));
    let (json, lines, bytes) = (text.clone(), text.clone(), text.len());
    let course = abandon(bytes, |mut hold| async move {
        hold.begin(bytes, Some(bytes), Deadline::default()).await?;
        away(json, move |text| transcode(Signal::Logs, text, 8 * MIB, hold)).await
    });
    holds_on(&course, bytes, "json");
    let course = abandon(bytes, |mut hold| async move {
        hold.begin(bytes, Some(bytes), Deadline::default()).await?;
        let limits = flow::Limits::of(&settings());
        away(lines, move |text| flow::encode(text, Nanos(0), limits, hold)).await
    });
    holds_on(&course, bytes, "lines");
}
