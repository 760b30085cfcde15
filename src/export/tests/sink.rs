//! A destination: a real server of OTLP over gRPC and over HTTP, with or without TLS, told how to
//! answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response as Answer};
use axum::routing::post;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tonic::codec::CompressionEncoding::{Gzip, Zstd};
use tonic::service::Routes;
use tonic::{Request, Response, Status, async_trait};

#[derive(Clone)]
pub(in crate::export) struct Sink {
    pub(in crate::export) address: SocketAddr,
    told: Arc<Mutex<Told>>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Told {
    refusals: usize,
    status: Option<Status>,
    /// What is answered over HTTP, to how many, and whether their requests are taken.
    plain: Option<Plain>,
    rejected: i64,
    delay: Duration,
}

#[derive(Clone)]
pub(super) struct Plain {
    pub(super) times: usize,
    pub(super) code: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

#[derive(Default)]
struct Seen {
    /// The names in each request that was taken.
    requests: Vec<Vec<String>>,
    headers: HeaderMap,
    paths: Vec<String>,
    arrived: usize,
}

impl Sink {
    pub(super) async fn open() -> Self {
        let sink = Self::at(free_address().await);
        sink.listen().await;
        sink
    }

    pub(super) async fn with_tls(acceptor: TlsAcceptor) -> Self {
        let sink = Self::at(free_address().await);
        sink.serve(Some(acceptor)).await;
        sink
    }

    pub(super) fn at(address: SocketAddr) -> Self {
        Self { address, told: Arc::default(), seen: Arc::default() }
    }

    pub(super) async fn listen(&self) {
        self.serve(None).await;
    }

    async fn serve(&self, acceptor: Option<TlsAcceptor>) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let traces = TraceServiceServer::new(self.clone());
        let logs = LogsServiceServer::new(self.clone());
        let metrics = MetricsServiceServer::new(self.clone());
        let over_grpc = Routes::new(traces.accept_compressed(Gzip).accept_compressed(Zstd))
            .add_service(logs.accept_compressed(Gzip).accept_compressed(Zstd))
            .add_service(metrics.accept_compressed(Gzip).accept_compressed(Zstd))
            .into_axum_router();
        let over_http = Router::new()
            .route("/{*path}", post(plain))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(self.clone());
        let service = TowerToHyperService::new(Either { over_grpc, over_http });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (service, acceptor) = (service.clone(), acceptor.clone());
                tokio::spawn(connection(stream, service, acceptor));
            }
        });
    }

    /// The next `times` requests are refused.
    pub(super) fn refuse(&self, times: usize, status: &Status) {
        let mut told = self.told.lock().unwrap();
        told.refusals = times;
        told.status = Some(status.clone());
    }

    /// The next requests over HTTP are answered like this.
    pub(super) fn answer(&self, plain: Plain) {
        self.told.lock().unwrap().plain = Some(plain);
    }

    /// Each request is taken but for `items`.
    pub(super) fn reject(&self, items: i64) {
        self.told.lock().unwrap().rejected = items;
    }

    pub(super) fn delay(&self, delay: Duration) {
        self.told.lock().unwrap().delay = delay;
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.concat()
    }

    pub(super) fn sorted_names(&self) -> Vec<String> {
        let mut names = self.names();
        names.sort();
        names
    }

    pub(super) fn requests(&self) -> usize {
        self.seen.lock().unwrap().requests.len()
    }

    pub(super) fn arrived(&self) -> usize {
        self.seen.lock().unwrap().arrived
    }

    pub(super) fn sizes(&self) -> Vec<usize> {
        self.seen.lock().unwrap().requests.iter().map(Vec::len).collect()
    }

    pub(super) fn headers(&self) -> HeaderMap {
        self.seen.lock().unwrap().headers.clone()
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.seen.lock().unwrap().paths.clone()
    }

    async fn take(&self, headers: HeaderMap, names: Vec<String>) -> Result<i64, Status> {
        self.seen.lock().unwrap().arrived += 1;
        let delay = self.told.lock().unwrap().delay;
        tokio::time::sleep(delay).await;
        let mut told = self.told.lock().unwrap();
        if told.refusals > 0 {
            told.refusals -= 1;
            return Err(told.status.clone().unwrap());
        }
        let mut seen = self.seen.lock().unwrap();
        seen.requests.push(names);
        seen.headers = headers;
        Ok(told.rejected)
    }

    fn told_plain(&self) -> Option<Plain> {
        let mut told = self.told.lock().unwrap();
        let plain = told.plain.as_mut().filter(|plain| plain.times > 0)?;
        plain.times -= 1;
        Some(plain.clone())
    }
}

async fn connection(
    stream: TcpStream,
    service: TowerToHyperService<Either>,
    acceptor: Option<TlsAcceptor>,
) {
    let builder = auto::Builder::new(TokioExecutor::new());
    // A client that breaks off is what some of the tests are about.
    let _ended = match acceptor {
        None => builder.serve_connection(TokioIo::new(stream), service).await,
        Some(acceptor) => {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            builder.serve_connection(TokioIo::new(stream), service).await
        }
    };
}

/// gRPC says so in its content type.
#[derive(Clone)]
struct Either {
    over_grpc: Router,
    over_http: Router,
}

impl tower::Service<http::Request<hyper::body::Incoming>> for Either {
    type Response = Answer;
    type Error = std::convert::Infallible;
    type Future = <Router as tower::Service<http::Request<Body>>>::Future;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<hyper::body::Incoming>) -> Self::Future {
        let kind = request.headers().get(CONTENT_TYPE).cloned();
        let router = match kind.as_ref().map(|kind| kind.as_bytes()) {
            Some(b"application/grpc") => &mut self.over_grpc,
            _ => &mut self.over_http,
        };
        router.call(request.map(Body::new))
    }
}

async fn plain(
    State(sink): State<Sink>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    assert_eq!(headers.get(CONTENT_TYPE).unwrap(), "application/x-protobuf");
    let told = sink.told_plain();
    let mut builder = http::Response::builder();
    if let Some(plain) = told.as_ref().filter(|plain| plain.code != 200) {
        sink.seen.lock().unwrap().arrived += 1;
        for (name, value) in &plain.headers {
            builder = builder.header(*name, value);
        }
        return builder.status(plain.code).body(Body::from(plain.body.clone())).unwrap();
    }
    let body = match headers.get(CONTENT_ENCODING).map(|it| it.as_bytes()) {
        None => body.to_vec(),
        Some(b"gzip") => {
            let mut plain = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(&body[..]);
            std::io::Read::read_to_end(&mut decoder, &mut plain).unwrap();
            plain
        }
        Some(b"zstd") => zstd::decode_all(&body[..]).unwrap(),
        other => panic!("{other:?}"),
    };
    sink.seen.lock().unwrap().paths.push(format!("/{path}"));
    let names = match path.rsplit('/').next().unwrap() {
        "logs" => log_names(&ExportLogsServiceRequest::decode(&*body).unwrap()),
        "metrics" => metric_names(&ExportMetricsServiceRequest::decode(&*body).unwrap()),
        _ => span_names(&ExportTraceServiceRequest::decode(&*body).unwrap()),
    };
    match (sink.take(headers, names).await, told) {
        (Ok(_), Some(plain)) => {
            for (name, value) in &plain.headers {
                builder = builder.header(*name, value);
            }
            builder.body(Body::from(plain.body)).unwrap()
        }
        (Ok(rejected), None) => {
            let body = traces_response(rejected).encode_to_vec();
            ([(CONTENT_TYPE, "application/x-protobuf")], body).into_response()
        }
        (Err(_), _) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn traces_response(rejected_spans: i64) -> ExportTraceServiceResponse {
    let error_message = "some were wrong".to_owned();
    let partial = ExportTracePartialSuccess { rejected_spans, error_message };
    ExportTraceServiceResponse { partial_success: (rejected_spans > 0).then_some(partial) }
}

#[async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        let rejected = self.take(headers, span_names(request.get_ref())).await?;
        Ok(Response::new(traces_response(rejected)))
    }
}

#[async_trait]
impl LogsService for Sink {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        self.take(headers, log_names(request.get_ref())).await?;
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

#[async_trait]
impl MetricsService for Sink {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        self.take(headers, metric_names(request.get_ref())).await?;
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

/// An address at which nobody listens.
pub(super) async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn span_names(request: &ExportTraceServiceRequest) -> Vec<String> {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans).map(|span| span.name.clone()).collect()
}

fn log_names(request: &ExportLogsServiceRequest) -> Vec<String> {
    let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    scopes.flat_map(|scope| &scope.log_records).map(|log| log.event_name.clone()).collect()
}

fn metric_names(request: &ExportMetricsServiceRequest) -> Vec<String> {
    request.resource_metrics.iter().map(|resource| resource.schema_url.clone()).collect()
}

/// A request with one span for each name.
pub(in crate::export) fn spans_of<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let span = |name: &str| Span { name: name.to_owned(), ..Span::default() };
    let spans = names.into_iter().map(span).collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

pub(in crate::export) fn spans(name: &str) -> Vec<u8> {
    spans_of([name])
}

pub(super) fn logs(name: &str) -> Vec<u8> {
    let log_records = vec![LogRecord { event_name: name.to_owned(), ..LogRecord::default() }];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

pub(super) fn metrics(name: &str) -> Vec<u8> {
    let schema_url = name.to_owned();
    let resource_metrics = vec![ResourceMetrics { schema_url, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}
