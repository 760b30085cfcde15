//! Destinations that are down, slow or far behind, and what they may hold.

use tokio::net::TcpListener;
use tonic::Status;

use super::sink::{free_address, spans_of};
use super::*;

#[tokio::test]
async fn a_dead_destination_holds_the_cursor_until_it_lives() {
    let dead = Sink::at(free_address().await);
    let size = spans("name-0000").len();
    let settings = Destination { batch_bytes_max: size, concurrency: 2, ..destination(&dead) };
    let run = Run::start(settings);
    run.feed_spans(names(0..100)).await;
    until("both requests are tried again", || run.health.summary().retries > 4).await;

    // Two in flight and one that waits: what comes after stays in the log.
    assert!(run.hand.items(Signal::Traces) <= 3, "{}", run.hand.items(Signal::Traces));
    let summary = run.health.summary();
    assert!(matches!(summary.state, State::Retrying { .. }));
    assert!(summary.oldest > Duration::ZERO && summary.last_success.is_none());
    assert_eq!(run.cursor.get(), run.log.start());
    assert_eq!(run.imbalance(Signal::Traces, 100), 0);

    dead.listen().await;
    let finished = run.finish().await;

    assert_eq!(dead.sorted_names(), names(0..100));
    assert!(finished.is_delivered);
    assert_eq!(finished.health.state, State::Up);
}

#[tokio::test]
async fn what_is_done_past_a_request_that_waits_is_not_held_too() {
    let sink = Sink::open().await;
    let size = spans("name-0000").len();
    let slow = Duration::from_secs(3600);
    let own = Destination { batch_bytes_max: size, concurrency: 2, ..destination(&sink) };
    let run = Run::start(Destination { backoff_min: slow, backoff_max: slow, ..own });
    sink.refuse(1, &Status::unavailable("not now"));
    run.feed_spans(names(0..1)).await;
    until("the first is refused", || run.health.summary().retries > 0).await;

    run.feed_spans(names(1..20)).await;
    until("all others are done", || run.account.standing(Signal::Traces, 0).done == 19).await;

    assert_eq!(run.hand.items(Signal::Traces), 1);
    assert_eq!(run.imbalance(Signal::Traces, 20), 0);
    assert_eq!(run.cursor.get(), run.log.start());
    run.halt().await;
}

#[tokio::test]
async fn a_destination_that_reads_nothing_holds_only_itself() {
    let stuck = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sink = Sink::open().await;
    let endpoint = format!("http://{}", stuck.local_addr().unwrap());
    let timeout = Duration::from_millis(200);
    let batch_bytes_max = 1 << 20;
    for own in both(&Destination { endpoint, timeout, batch_bytes_max, ..destination(&sink) }) {
        let run = Run::start(Destination { compression: Compression::None, ..own });
        let name = "n".repeat(900_000);
        for _ in 0..40 {
            run.append(Signal::Traces, 1, spans(&name)).await;
        }
        until("it was tried again", || run.health.summary().retries > 4).await;

        // Four in flight, one that is being filled, and the batch that made it too much.
        assert!(run.hand.items(Signal::Traces) <= 6, "{}", run.hand.items(Signal::Traces));
        assert_eq!(run.imbalance(Signal::Traces, 40), 0);
        let (finished, cursor) = run.halt().await;
        assert_eq!((finished.done(Signal::Traces), cursor), (0, Position(0)));
    }
}

#[tokio::test]
async fn parts_of_a_large_batch_keep_no_more_than_it_in_memory() {
    let dead = Sink::at(free_address().await);
    let settings = Destination { batch_bytes_max: 1000, concurrency: 2, ..destination(&dead) };
    let run = Run::start(settings);
    let all = names(0..1000);
    for _ in 0..5 {
        run.append(Signal::Traces, 1000, spans_of(all.iter().map(String::as_str))).await;
    }
    until("it was tried again", || run.health.summary().retries > 4).await;

    assert_eq!(run.hand.items(Signal::Traces), 1000);
    run.halt().await;
}

#[tokio::test]
async fn the_oldest_is_given_up_when_that_is_asked_for() {
    let dead = Sink::at(free_address().await);
    let size = spans("name-0000").len();
    let own = Destination { batch_bytes_max: size * 2, concurrency: 2, ..destination(&dead) };
    let run = Run::start(Destination { backlog_max: Some(2_000), ..own });
    run.feed_spans(names(0..200)).await;

    let lag = || run.log.end().0 - run.cursor.get().0;
    until("it is not too far behind", || lag() <= 2_000).await;
    until("the account balances", || run.imbalance(Signal::Traces, 200) == 0).await;
    let given_up = lost(&run.account, Signal::Traces, Reason::Backlog);
    assert!((100..200).contains(&given_up), "{given_up}");

    dead.listen().await;
    let finished = run.finish().await;

    // The newest of all arrive, in whole batches, and none that was given up.
    let given_up = finished.lost(Signal::Traces, Reason::Backlog);
    assert_eq!(finished.done(Signal::Traces) + given_up, 200);
    assert_eq!(dead.sorted_names(), names(u32::try_from(given_up).unwrap()..200));
}

#[tokio::test]
async fn nothing_is_given_up_unless_that_is_asked_for() {
    let dead = Sink::at(free_address().await);
    let run = Run::start(Destination { batch_bytes_max: 1000, ..destination(&dead) });
    run.feed_spans(names(0..2000)).await;
    until("it was tried again", || run.health.summary().retries > 20).await;

    dead.listen().await;
    let finished = run.finish().await;

    assert_eq!(dead.sorted_names(), names(0..2000));
    assert_eq!(finished.lost(Signal::Traces, Reason::Backlog), 0);
}

#[tokio::test]
async fn stopping_leaves_what_is_not_decided_for_the_next_start() {
    let sink = Sink::open().await;
    sink.refuse(usize::MAX, &Status::unavailable("never"));
    let run = Run::start(destination(&sink));
    run.feed_spans(names(0..1)).await;
    until("it was tried again", || run.health.summary().retries > 0).await;

    let (finished, cursor) = run.halt().await;

    assert_eq!((finished.done(Signal::Traces), finished.rejected(Signal::Traces)), (0, 0));
    assert_eq!((finished.hand.items(Signal::Traces), cursor), (1, Position(0)));
}

#[tokio::test]
async fn stopping_gives_a_request_in_flight_its_grace() {
    let sink = Sink::open().await;
    sink.delay(Duration::from_millis(150));
    let run = Run::start(destination(&sink));
    run.feed_spans(names(0..1)).await;
    until("the request arrived", || sink.arrived() > 0).await;

    let (finished, _) = run.halt().await;

    assert_eq!((finished.done(Signal::Traces), finished.is_delivered), (1, true));
}

#[tokio::test]
async fn a_damaged_batch_is_lost_and_those_around_it_arrive() {
    let sink = Sink::open().await;
    let before = Run::start(Destination { signals: Vec::new(), ..destination(&sink) });
    before.stop.cancel();
    before.feed_spans(names(0..3)).await;
    // Whoever has a part of the log keeps it locked.
    let Run { log, dir, cursor, task, .. } = before;
    task.await.unwrap().unwrap();
    drop(cursor);
    spawn_blocking(move || log.close()).await.unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap_or_default();
        let found = bytes.windows(9).position(|window| window == b"name-0001");
        if let Some(at) = found {
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }

    let run = Run::start_in(dir, destination(&sink));
    until("the others are done", || run.account.standing(Signal::Traces, 0).done == 2).await;

    assert_eq!(run.imbalance(Signal::Traces, 3), 0);
    let finished = run.finish().await;
    assert_eq!(sink.names(), ["name-0000", "name-0002"]);
    assert_eq!(finished.lost(Signal::Traces, Reason::Corrupt), 1);
    assert!(finished.is_delivered);
}
