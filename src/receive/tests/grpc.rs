use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::*;

async fn channel(doors: &Doors) -> Channel {
    Endpoint::new(format!("http://{}", doors.grpc)).unwrap().connect().await.unwrap()
}

fn logs(bytes: usize) -> ExportLogsServiceRequest {
    let schema_url = "a".repeat(bytes);
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { schema_url, ..Default::default() }],
    }
}

/// The status of a request that a generated client sends.
async fn refusal(doors: &Doors, request: ExportLogsServiceRequest) -> Status {
    LogsServiceClient::new(channel(doors).await).export(request).await.unwrap_err()
}

#[tokio::test]
async fn the_three_methods_hand_over_what_generated_clients_send() {
    let doors = Doors::open(Reply::Accepted).await;
    let channel = channel(&doors).await;
    let schema_url = "traces".to_owned();
    let resource_spans = vec![ResourceSpans { schema_url, ..Default::default() }];
    let traces = ExportTraceServiceRequest { resource_spans };
    let schema_url = "metrics".to_owned();
    let resource_metrics = vec![ResourceMetrics { schema_url, ..Default::default() }];
    let metrics = ExportMetricsServiceRequest { resource_metrics };

    let answer = TraceServiceClient::new(channel.clone()).export(traces.clone()).await.unwrap();
    assert_eq!(answer.into_inner().partial_success, None);
    LogsServiceClient::new(channel.clone()).export(logs(10)).await.unwrap();
    MetricsServiceClient::new(channel).export(metrics.clone()).await.unwrap();

    let raw = |signal, bytes: Vec<u8>| Raw {
        signal,
        source: Source::OtlpGrpc,
        tenant: Tenant::default(),
        bytes: bytes.into(),
    };
    let expected = [
        raw(Signal::Traces, traces.encode_to_vec()),
        raw(Signal::Logs, logs(10).encode_to_vec()),
        raw(Signal::Metrics, metrics.encode_to_vec()),
    ];
    assert_eq!(doors.got(), expected);
}

#[tokio::test]
async fn gzip_and_zstd_are_inflated() {
    let doors = Doors::open(Reply::Accepted).await;
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let client = LogsServiceClient::new(channel(&doors).await);
        client.send_compressed(encoding).export(logs(100_000)).await.unwrap();
        assert_eq!(doors.got().last().unwrap().bytes, logs(100_000).encode_to_vec());
    }
    let tally = doors.tally(Source::OtlpGrpc);
    assert_eq!(tally.decoded_bytes(), 2 * logs(100_000).encoded_len() as u64);
    assert!(tally.encoded_bytes() < 2000);
}

#[tokio::test]
async fn a_partial_success_names_the_count_and_the_reason() {
    let doors = Doors::open(partial()).await;
    let mut client = LogsServiceClient::new(channel(&doors).await);
    let partial = client.export(logs(1)).await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!(
        (partial.rejected_log_records, partial.error_message.as_str()),
        (3, "three were wrong")
    );
}

#[tokio::test]
async fn refusals_have_the_codes_that_otlp_gives_them() {
    let rows = [
        (Refusal::Malformed, Code::InvalidArgument),
        (Refusal::TooLarge, Code::ResourceExhausted),
        (Refusal::Busy, Code::Unavailable),
        (Refusal::LogFull, Code::Unavailable),
        (Refusal::LogFailed, Code::Unavailable),
        (Refusal::Closing, Code::Unavailable),
    ];
    for (reason, code) in rows {
        let doors = Doors::open(refused(reason)).await;
        let status = refusal(&doors, logs(1)).await;
        assert_eq!((status.code(), status.message()), (code, "because"), "{reason:?}");
        // RetryInfo { retry_delay: 1 s } as an Any, or nothing at all.
        let info =
            [&b"type.googleapis.com/google.rpc.RetryInfo\x12\x06\x0a\x04\x08\x01\x10\x00"[..]];
        let expected = code == Code::Unavailable;
        let found = status.details().windows(info[0].len()).any(|part| part == info[0]);
        assert_eq!((found, status.details().is_empty()), (expected, !expected), "{reason:?}");
        assert_eq!(doors.tally(Source::OtlpGrpc).refused(reason), 1);
    }
}

#[tokio::test]
async fn too_large_is_resource_exhausted_without_retry_info() {
    let doors = Doors::open(Reply::Accepted).await;
    let plain = refusal(&doors, logs(2 << 20)).await;
    let client = LogsServiceClient::new(channel(&doors).await);
    let mut client = client.send_compressed(CompressionEncoding::Gzip);
    let zipped = client.export(logs(2 << 20)).await.unwrap_err();
    for status in [plain, zipped] {
        assert_eq!((status.code(), status.details()), (Code::ResourceExhausted, &[][..]));
    }
    assert_eq!(doors.got(), []);
}

#[tokio::test]
async fn past_the_budget_requests_are_unavailable_until_one_is_done() {
    let settings = Settings { inflight_bytes_max: 128 << 10, ..settings() };
    let doors = Doors::with(Reply::Accepted, settings).await;
    doors.gate.forget_permits(1_000_000);
    let mut client = LogsServiceClient::new(channel(&doors).await);
    let mut other = client.clone();
    let first = tokio::spawn(async move { other.export(logs(100 << 10)).await });
    doors.holds(1).await;

    let status = client.export(logs(1)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(!status.details().is_empty());

    doors.gate.add_permits(10);
    first.await.unwrap().unwrap();
    client.export(logs(1)).await.unwrap();
    assert_eq!(doors.intake.budget_left_bytes(), 128 << 10);
}

#[tokio::test]
async fn closing_lets_requests_in_flight_end_and_then_closes() {
    let doors = Doors::open(Reply::Accepted).await;
    doors.gate.forget_permits(1_000_000);
    let mut client = LogsServiceClient::new(channel(&doors).await);
    let first = tokio::spawn(async move { client.export(logs(1)).await });
    doors.holds(1).await;

    doors.stop.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    doors.gate.add_permits(1);

    first.await.unwrap().unwrap();
    for task in doors.tasks {
        task.await.unwrap().unwrap();
    }
    assert!(tokio::net::TcpStream::connect(doors.grpc).await.is_err());
}
