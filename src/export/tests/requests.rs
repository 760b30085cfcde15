//! What a destination gets.

use http::{HeaderName, HeaderValue};
use prost::Message as _;

use super::sink::{logs, metrics, spans_of};
use super::*;

#[tokio::test]
async fn batches_arrive_merged_in_order_and_whole() {
    let first = Sink::open().await;
    for own in both(&destination(&first)) {
        let sink = Sink::open().await;
        let endpoint = format!("http://{}", sink.address);
        let run = Run::start(Destination { concurrency: 1, endpoint, ..own });
        run.feed_spans(names(0..50)).await;

        let finished = run.finish().await;

        assert_eq!(sink.names(), names(0..50));
        assert!(sink.requests() < 50, "{} requests", sink.requests());
        assert_eq!((finished.done(Signal::Traces), finished.rejected(Signal::Traces)), (50, 0));
        assert!(finished.is_delivered);
        assert_eq!((finished.health.state, finished.health.items), (State::Up, 50));
        assert_eq!(finished.health.oldest, Duration::ZERO);
        assert!(finished.health.last_success.is_some());
    }
}

#[tokio::test]
async fn what_the_log_has_packed_arrives_with_what_it_has_not() {
    let first = Sink::open().await;
    for own in both(&Destination { compression: Compression::Zstd, ..destination(&first) }) {
        let sink = Sink::open().await;
        let endpoint = format!("http://{}", sink.address);
        let run = Run::start(Destination { concurrency: 1, endpoint, ..own });
        for batch in [0..1, 1..2000, 2000..2001, 2001..4000, 4000..9000, 9000..9001] {
            let names = names(batch);
            let bytes = spans_of(names.iter().map(String::as_str));
            run.append(Signal::Traces, u32::try_from(names.len()).unwrap(), bytes).await;
        }

        let finished = run.finish().await;

        assert_eq!(sink.names(), names(0..9001));
        assert!(sink.requests() < 6, "{} requests", sink.requests());
        assert_eq!((finished.done(Signal::Traces), finished.is_delivered), (9001, true));
    }
}

#[tokio::test]
async fn no_request_is_larger_than_its_cap() {
    let sink = Sink::open().await;
    let size = spans("name-0010").len();
    let run = Run::start(Destination { batch_bytes_max: size * 3, ..destination(&sink) });
    run.feed_spans(names(10..40)).await;

    let finished = run.finish().await;

    assert_eq!(finished.done(Signal::Traces), 30);
    let sizes = sink.sizes();
    assert_eq!((sizes.iter().sum::<usize>(), sizes.iter().max()), (30, Some(&3)));
}

#[tokio::test]
async fn a_batch_that_is_larger_arrives_in_parts() {
    let sink = Sink::open().await;
    let all = names(0..100);
    let large = spans_of(all.iter().map(String::as_str));
    let batch_bytes_max = large.len() / 7;
    let run = Run::start(Destination { batch_bytes_max, ..destination(&sink) });
    run.feed_spans(["before".to_owned()]).await;
    run.append(Signal::Traces, 100, large).await;
    run.feed_spans(["z-after".to_owned()]).await;

    let finished = run.finish().await;

    let mut expected = all;
    expected.insert(0, "before".to_owned());
    expected.push("z-after".to_owned());
    assert_eq!(sink.sorted_names(), expected);
    assert!(sink.sizes().into_iter().max() <= Some(16), "{:?}", sink.sizes());
    assert_eq!((finished.done(Signal::Traces), finished.is_delivered), (102, true));
    assert_eq!(finished.hand.items(Signal::Traces), 0);
}

#[tokio::test]
async fn an_item_that_is_larger_alone_is_lost_and_nothing_else() {
    let sink = Sink::open().await;
    let run = Run::start(Destination { batch_bytes_max: 1000, ..destination(&sink) });
    let long = "l".repeat(1000);
    run.append(Signal::Traces, 3, spans_of(["a", &long, "b"])).await;

    let finished = run.finish().await;

    assert_eq!(sink.sorted_names(), ["a", "b"]);
    assert_eq!((finished.done(Signal::Traces), finished.is_delivered), (2, true));
    assert_eq!(finished.lost(Signal::Traces, Reason::TooLarge), 1);
    let said = finished.health.last_error.unwrap();
    assert_eq!(said, "an item larger than 1000 bytes");
}

#[tokio::test]
async fn every_signal_goes_to_its_own_service() {
    let first = Sink::open().await;
    for own in both(&destination(&first)) {
        let sink = Sink::open().await;
        let run = Run::start(Destination { endpoint: format!("http://{}", sink.address), ..own });
        let batches = [
            (Signal::Traces, spans("span")),
            (Signal::Logs, logs("log")),
            (Signal::Metrics, metrics("metric")),
        ];
        run.feed(batches).await;

        let finished = run.finish().await;

        assert_eq!(sink.sorted_names(), ["log", "metric", "span"]);
        assert_eq!(Signal::ALL.map(|signal| finished.done(signal)), [1, 1, 1]);
        assert!(finished.is_delivered);
    }
}

#[tokio::test]
async fn over_http_a_path_is_joined_and_a_signals_own_endpoint_is_not() {
    let sink = Sink::open().await;
    let run = Run::start(Destination {
        protocol: Protocol::Http,
        endpoint: format!("http://{}/otlp/", sink.address),
        endpoints: vec![(Signal::Logs, format!("http://{}/their/logs", sink.address))],
        concurrency: 1,
        ..destination(&sink)
    });
    run.feed([(Signal::Traces, spans("span")), (Signal::Logs, logs("log"))]).await;
    run.finish().await;

    let mut paths = sink.paths();
    paths.sort();
    assert_eq!(paths, ["/otlp/v1/traces", "/their/logs"]);
}

#[tokio::test]
async fn what_a_destination_does_not_take_is_passed() {
    let sink = Sink::open().await;
    let signals = vec![Signal::Logs];
    let run = Run::start(Destination { signals, ..destination(&sink) });
    run.feed([
        (Signal::Traces, spans("a")),
        (Signal::Logs, logs("b")),
        (Signal::Traces, spans("c")),
    ])
    .await;

    let finished = run.finish().await;

    assert_eq!(sink.names(), ["b"]);
    let standings = [Signal::Traces, Signal::Logs].map(|it| finished.account.standing(it, 0));
    assert_eq!(standings.map(|it| (it.passed, it.done)), [(2, 0), (0, 1)]);
    assert!(finished.is_delivered);
}

#[tokio::test]
async fn gzip_and_zstd_and_headers_arrive() {
    for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
        for protocol in [Protocol::Grpc, Protocol::Http] {
            let sink = Sink::open().await;
            let header = (HeaderName::from_static("x-key"), HeaderValue::from_static("k"));
            let headers = vec![header];
            let own = Destination { compression, headers, protocol, ..destination(&sink) };
            let run = Run::start(own);
            let long = "a".repeat(100_000);
            run.feed([(Signal::Traces, spans(&long))]).await;

            let finished = run.finish().await;

            assert_eq!((sink.names(), finished.done(Signal::Traces)), (vec![long], 1));
            let seen = sink.headers();
            let encoding = match compression {
                Compression::Gzip => Some("gzip"),
                Compression::Zstd => Some("zstd"),
                Compression::None => (protocol == Protocol::Grpc).then_some("identity"),
            };
            let of = |name: &str| seen.get(name).map(|value| value.to_str().unwrap());
            let said = of("grpc-encoding").or(of("content-encoding"));
            assert_eq!((said, of("x-key")), (encoding, Some("k")));
            assert!(of("user-agent").unwrap().starts_with("hopline/"));
            assert_eq!(finished.health.bytes < 10_000, compression != Compression::None);
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_an_error() {
    let cases = [
        (Protocol::Grpc, ""),
        (Protocol::Grpc, "localhost:4317"),
        (Protocol::Grpc, "http://host/path"),
        (Protocol::Grpc, "http://"),
        (Protocol::Grpc, "ftp://host"),
        (Protocol::Http, "http://host/path?query"),
    ];
    for (protocol, endpoint) in cases {
        let run = Run::start(Destination { protocol, ..Destination::new("wrong", endpoint) });
        let error = run.task.await.unwrap().unwrap_err();
        let (expected, name) = ("the endpoint is none for the protocol", protocol.name());
        assert_eq!(
            error.to_string(),
            format!("destination wrong: {expected} {name}"),
            "{endpoint}"
        );
    }
}

#[test]
fn requests_put_one_after_the_other_are_one_request() {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    let joined = [spans("a"), spans("b")].concat();
    let decoded = ExportTraceServiceRequest::decode(&*joined).unwrap();
    let names: Vec<_> =
        decoded.resource_spans.iter().map(|it| it.scope_spans[0].spans[0].name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}
