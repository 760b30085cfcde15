//! Against real servers: what they took is what the summary says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};

use super::*;

/// Takes everything but what it was told to refuse.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    /// Answers to the first requests with spans; later ones are taken.
    refusals: VecDeque<Code>,
    /// Spans that each request is told to have had rejected.
    rejected: i64,
    spans: u64,
    largest: u64,
    logs: u64,
    requests_with_metrics: u64,
    /// How many posts of lines to answer with 503 first.
    busy: u32,
    lines: Vec<String>,
}

#[tonic::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut taken = self.0.lock().unwrap();
        if let Some(code) = taken.refusals.pop_front() {
            return Err(Status::new(code, "not now"));
        }
        let scopes = request.get_ref().resource_spans.iter().flat_map(|of| &of.scope_spans);
        let count: u64 = scopes.map(|scope| scope.spans.len() as u64).sum();
        taken.spans += count;
        taken.largest = taken.largest.max(count);
        let rejected_spans = taken.rejected;
        let partial = ExportTracePartialSuccess { rejected_spans, error_message: String::new() };
        Ok(Response::new(ExportTraceServiceResponse { partial_success: Some(partial) }))
    }
}

#[tonic::async_trait]
impl LogsService for Sink {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let scopes = request.get_ref().resource_logs.iter().flat_map(|of| &of.scope_logs);
        self.0.lock().unwrap().logs +=
            scopes.map(|scope| scope.log_records.len() as u64).sum::<u64>();
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Sink {
    async fn export(
        &self,
        _: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.0.lock().unwrap().requests_with_metrics += 1;
        Ok(Response::new(Default::default()))
    }
}

impl Sink {
    /// Serves OTLP; answers where.
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(self.clone()))
            .add_service(LogsServiceServer::new(self.clone()))
            .add_service(MetricsServiceServer::new(self.clone()));
        tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
        format!("http://{address}")
    }

    /// Serves a door for flow lines; answers where.
    async fn serve_flows(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let sink = self.clone();
        let door = post(async move |body: String| {
            let mut taken = sink.0.lock().unwrap();
            if taken.busy > 0 {
                taken.busy -= 1;
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            taken.lines.extend(body.lines().map(str::to_owned));
            StatusCode::OK
        });
        let router = axum::Router::new().route("/v1/flows", door);
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/")
    }
}

async fn options(sink: &Sink) -> Options {
    Options {
        endpoint: sink.serve().await,
        rate: 200.0,
        duration: Some(Duration::from_millis(300)),
        seed: 4,
        flows: None,
        token_file: None,
        ca_file: None,
        start: Nanos(1_790_000_000_000_000_000),
    }
}

#[tokio::test]
async fn the_summary_counts_what_the_endpoint_took() {
    let sink = Sink::default();
    sink.0.lock().unwrap().busy = 1;
    let flows = Some(sink.serve_flows().await);
    let options = Options { flows, ..options(&sink).await };

    let summary = run(options, std::future::pending()).await.unwrap();

    let taken = sink.0.lock().unwrap();
    assert!(summary.requests > 20, "{summary:?}");
    assert_eq!((summary.spans, summary.logs), (taken.spans, taken.logs));
    assert_eq!(summary.flows, taken.lines.len() as u64);
    assert_eq!((summary.lost, summary.skipped), (0, 0));
    assert!(summary.flows > summary.requests);
    assert!(taken.requests_with_metrics == 1 && summary.points > 3);
    assert!(taken.largest <= BATCH_MAX as u64);
}

#[tokio::test]
async fn a_batch_is_sent_again_after_a_refusal_that_may_pass() {
    let sink = Sink::default();
    sink.0.lock().unwrap().refusals = [Code::Unavailable, Code::ResourceExhausted].into();

    let summary = run(options(&sink).await, std::future::pending()).await.unwrap();

    assert_eq!(summary.lost, 0);
    assert_eq!(summary.spans, sink.0.lock().unwrap().spans);
}

#[tokio::test]
async fn a_batch_is_lost_after_a_refusal_for_good() {
    let sink = Sink::default();
    sink.0.lock().unwrap().refusals = [Code::InvalidArgument].into();

    let summary = run(options(&sink).await, std::future::pending()).await.unwrap();

    assert!(summary.lost > 0);
    assert_eq!(summary.spans, sink.0.lock().unwrap().spans);
}

#[tokio::test]
async fn what_the_endpoint_rejects_of_a_batch_is_lost() {
    let sink = Sink::default();
    sink.0.lock().unwrap().rejected = 1;

    let summary = run(options(&sink).await, std::future::pending()).await.unwrap();

    assert!(summary.lost > 0);
    assert_eq!(summary.spans + summary.lost, sink.0.lock().unwrap().spans);
}

#[tokio::test]
async fn a_stop_sends_what_is_left() {
    let sink = Sink::default();
    let options = Options { duration: None, ..options(&sink).await };

    let summary = run(options, tokio::time::sleep(Duration::from_millis(250))).await.unwrap();

    assert!(summary.requests > 0);
    assert_eq!((summary.spans, summary.lost), (sink.0.lock().unwrap().spans, 0));
}

#[tokio::test]
async fn a_rate_that_is_none_is_refused() {
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let options = Options { rate, ..options(&Sink::default()).await };
        let refused = run(options, std::future::pending()).await;
        assert!(matches!(refused, Err(Error::Rate { .. })), "{rate}");
    }
}

#[tokio::test]
async fn an_endpoint_where_nobody_listens_is_an_error() {
    let endpoint = "http://127.0.0.1:1".to_owned();
    let options = Options { endpoint, ..options(&Sink::default()).await };
    let refused = run(options, std::future::pending()).await;
    assert!(matches!(refused, Err(Error::Connect { .. })));
}

#[tokio::test]
async fn a_request_is_skipped_and_counted_while_too_much_is_held() {
    let sink = Sink::default();
    let options = options(&sink).await;
    let sender = Sender::connect(&options).await.unwrap();
    let mut player = Player::new(&options, sender, 1);

    player.invite(options.start.after(Duration::from_millis(300)));

    assert_eq!(player.summary.requests, 1);
    assert!(player.summary.skipped > 20, "{:?}", player.summary);
}

#[tokio::test]
async fn flows_that_go_to_no_url_are_an_error() {
    let options = Options { flows: Some("no url".to_owned()), ..options(&Sink::default()).await };
    let refused = run(options, std::future::pending()).await;
    assert!(matches!(refused, Err(Error::Flows { .. })));
}
