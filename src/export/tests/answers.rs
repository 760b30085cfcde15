//! What is made of a destination's answers.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tonic::{Code, Status};

use super::sink::{Plain, logs};
use super::*;

fn plain(code: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Plain {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Plain { times: 1, code, headers, body: body.to_vec() }
}

/// One destination over HTTP that answers like this once, and what came of two spans.
async fn answered(plain: Plain) -> (Sink, Finished) {
    let sink = Sink::open().await;
    sink.answer(plain);
    let protocol = Protocol::Http;
    let run = Run::start(Destination { protocol, concurrency: 1, ..destination(&sink) });
    run.feed_spans(names(0..1)).await;
    until("it was decided on", || run.health.summary().requests > 0).await;
    run.feed_spans(names(1..2)).await;
    (sink, run.finish().await)
}

#[tokio::test]
async fn what_is_unavailable_is_sent_again_until_it_is_taken() {
    let first = Sink::open().await;
    for own in both(&destination(&first)) {
        for code in [Code::Unavailable, Code::OutOfRange] {
            let sink = Sink::open().await;
            sink.refuse(7, &Status::new(code, "not now"));
            let endpoint = format!("http://{}", sink.address);
            let run = Run::start(Destination { endpoint, ..own.clone() });
            run.feed_spans(names(0..20)).await;

            let finished = run.finish().await;

            assert_eq!(sink.sorted_names(), names(0..20));
            assert_eq!((finished.done(Signal::Traces), finished.health.retries), (20, 7));
            assert_eq!(finished.health.state, State::Up);
        }
    }
}

#[tokio::test]
async fn over_http_only_what_says_so_is_sent_again() {
    let date = "Thu, 01 Jan 1970 00:00:00 GMT";
    for (code, after) in [(429, "0"), (502, "soon"), (503, date), (504, "")] {
        let (sink, finished) = answered(plain(code, &[("retry-after", after)], b"")).await;
        assert_eq!(sink.names(), names(0..2), "{code}");
        assert_eq!((finished.done(Signal::Traces), finished.health.retries), (2, 1), "{code}");
    }
    for code in [400, 401, 403, 404, 413, 415, 500, 501] {
        let (sink, finished) = answered(plain(code, &[], b"")).await;
        assert_eq!(sink.names(), names(1..2), "{code}");
        let counted = (finished.done(Signal::Traces), finished.rejected(Signal::Traces));
        assert_eq!((counted, finished.health.retries), ((1, 1), 0), "{code}");
        assert!(finished.is_delivered);
    }
}

#[tokio::test]
async fn a_time_to_come_back_is_waited_for() {
    let sink = Sink::open().await;
    sink.answer(plain(503, &[("retry-after", "3600")], b""));
    let run = Run::start(Destination { protocol: Protocol::Http, ..destination(&sink) });
    run.feed_spans(names(0..1)).await;
    until("it was refused", || run.health.summary().retries > 0).await;

    // The own backoff would have come back many times.
    tokio::time::sleep(Duration::from_millis(300)).await;

    assert_eq!(sink.arrived(), 1);
    run.halt().await;
}

#[tokio::test]
async fn a_success_that_cannot_be_read_is_not_sent_again() {
    let protobuf = ("content-type", "application/x-protobuf");
    let oversize = vec![0; 5 << 20];
    let cases = [
        plain(200, &[protobuf], b"\x0a\xff"),
        plain(200, &[protobuf], &oversize),
        plain(200, &[("content-type", "text/html")], b"<html>thank you</html>"),
        plain(200, &[protobuf, ("content-encoding", "gzip")], b"\x0a\x02\x08\x01"),
    ];
    for case in cases {
        let (sink, finished) = answered(case).await;
        assert_eq!(sink.names(), names(0..2));
        let health = &finished.health;
        let counts = (finished.done(Signal::Traces), health.retries, health.warnings);
        assert_eq!(counts, (2, 0, 1));
        let said = health.last_warning.as_deref();
        assert_eq!(said, Some("it took the request, and its answer cannot be read"));
    }
}

#[tokio::test]
async fn a_warning_is_shown_and_nothing_more() {
    let body = b"\x0a\x0b\x12\x09be gentle";
    let protobuf = ("content-type", "application/x-protobuf");
    let (_, finished) = answered(plain(200, &[protobuf], body)).await;

    assert_eq!(finished.done(Signal::Traces), 2);
    assert_eq!(finished.health.last_warning.as_deref(), Some("be gentle"));
    assert_eq!(finished.health.last_error, None);
}

#[tokio::test]
async fn what_is_invalid_is_counted_and_passed() {
    let sink = Sink::open().await;
    sink.refuse(1, &Status::invalid_argument("no"));
    let size = spans("name-0000").len();
    let settings = Destination { batch_bytes_max: size, concurrency: 1, ..destination(&sink) };
    let run = Run::start(settings);
    run.feed_spans(names(0..3)).await;

    let finished = run.finish().await;

    assert_eq!(sink.names(), names(1..3));
    assert_eq!((finished.done(Signal::Traces), finished.rejected(Signal::Traces)), (2, 1));
    assert!(finished.is_delivered);
}

#[tokio::test]
async fn exhausted_without_a_time_to_come_back_is_final() {
    let sink = Sink::open().await;
    sink.refuse(1, &Status::new(Code::ResourceExhausted, "too large"));
    let run = Run::start(destination(&sink));
    run.feed([(Signal::Logs, logs("log"))]).await;

    let finished = run.finish().await;

    assert_eq!((finished.rejected(Signal::Logs), finished.health.retries), (1, 0));
}

#[tokio::test]
async fn a_partial_success_is_done_less_what_was_rejected() {
    let first = Sink::open().await;
    for own in both(&destination(&first)) {
        let sink = Sink::open().await;
        sink.reject(2);
        let run = Run::start(Destination { endpoint: format!("http://{}", sink.address), ..own });
        run.feed_spans(names(0..5)).await;

        let finished = run.finish().await;

        let requests = sink.requests() as u64;
        let rejected = finished.rejected(Signal::Traces);
        assert!(rejected > 0 && rejected <= 2 * requests);
        assert_eq!(finished.done(Signal::Traces) + rejected, 5);
        assert_eq!(finished.health.last_error.as_deref(), Some("some were wrong"));
        assert_eq!((finished.health.retries, finished.hand.items(Signal::Traces)), (0, 0));
    }
}

#[tokio::test]
async fn an_answer_that_never_comes_is_asked_for_again() {
    let first = Sink::open().await;
    for own in both(&destination(&first)) {
        let sink = Sink::open().await;
        sink.delay(Duration::from_secs(3600));
        let (timeout, endpoint) = (Duration::from_millis(50), format!("http://{}", sink.address));
        let run = Run::start(Destination { timeout, endpoint, ..own });
        run.feed_spans(names(0..1)).await;
        until("it was tried again", || run.health.summary().retries > 0).await;

        sink.delay(Duration::ZERO);

        assert_eq!(run.finish().await.done(Signal::Traces), 1);
    }
}

/// Stands before a sink and resets the first connection once the sink answers.
async fn resetting(sink: &Sink) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let behind = sink.address;
    tokio::spawn(async move {
        let mut is_first = true;
        while let Ok((mut client, _)) = listener.accept().await {
            let is_reset = std::mem::replace(&mut is_first, false);
            tokio::spawn(async move {
                let mut server = TcpStream::connect(behind).await.unwrap();
                if !is_reset {
                    // A connection that ends is no news to either.
                    let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    return;
                }
                let mut request = vec![0; 1 << 16];
                let read = client.read(&mut request).await.unwrap();
                server.write_all(&request[..read]).await.unwrap();
                server.read_u8().await.unwrap();
                client.set_zero_linger().unwrap();
            });
        }
    });
    endpoint
}

#[tokio::test]
async fn an_answer_that_is_lost_costs_a_duplicate_and_no_count() {
    let sink = Sink::open().await;
    let endpoint = resetting(&sink).await;
    let protocol = Protocol::Http;
    let run = Run::start(Destination { endpoint, protocol, ..destination(&sink) });
    run.feed_spans(names(0..1)).await;

    let finished = run.finish().await;

    assert_eq!(sink.names(), [names(0..1), names(0..1)].concat());
    assert_eq!((finished.done(Signal::Traces), finished.health.retries), (1, 1));
}
