//! A destination: the generated servers of all three signals, told how to answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderMap;
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
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding::{Gzip, Zstd};
use tonic::transport::Server;
use tonic::{Request, Response, Status, async_trait};

#[derive(Clone)]
pub(super) struct Sink {
    pub(super) address: SocketAddr,
    told: Arc<Mutex<Told>>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Told {
    refusals: usize,
    status: Option<Status>,
    rejected: i64,
    delay: Duration,
}

#[derive(Default)]
struct Seen {
    /// The names in each request that was taken.
    requests: Vec<Vec<String>>,
    headers: HeaderMap,
    arrived: usize,
}

impl Sink {
    pub(super) async fn open() -> Self {
        let sink = Self::at(free_address().await);
        sink.listen().await;
        sink
    }

    pub(super) fn at(address: SocketAddr) -> Self {
        Self { address, told: Arc::default(), seen: Arc::default() }
    }

    pub(super) async fn listen(&self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let traces = TraceServiceServer::new(self.clone());
        let logs = LogsServiceServer::new(self.clone());
        let metrics = MetricsServiceServer::new(self.clone());
        let server = Server::builder()
            .add_service(traces.accept_compressed(Gzip).accept_compressed(Zstd))
            .add_service(logs.accept_compressed(Gzip).accept_compressed(Zstd))
            .add_service(metrics.accept_compressed(Gzip).accept_compressed(Zstd))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
    }

    /// The next `times` requests are refused.
    pub(super) fn refuse(&self, times: usize, status: &Status) {
        let mut told = self.told.lock().unwrap();
        told.refusals = times;
        told.status = Some(status.clone());
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

    pub(super) fn requests(&self) -> usize {
        self.seen.lock().unwrap().requests.len()
    }

    pub(super) fn sizes(&self) -> Vec<usize> {
        self.seen.lock().unwrap().requests.iter().map(Vec::len).collect()
    }

    pub(super) fn headers(&self) -> HeaderMap {
        self.seen.lock().unwrap().headers.clone()
    }

    /// Waits until a request has arrived.
    pub(super) async fn waits(&self) {
        for _ in 0..1000 {
            if self.seen.lock().unwrap().arrived > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no request arrived");
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
}

#[async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        let rejected_spans = self.take(headers, span_names(request.get_ref())).await?;
        let error_message = "some were wrong".to_owned();
        let partial = ExportTracePartialSuccess { rejected_spans, error_message };
        let partial_success = (rejected_spans > 0).then_some(partial);
        Ok(Response::new(ExportTraceServiceResponse { partial_success }))
    }
}

#[async_trait]
impl LogsService for Sink {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let resources = request.into_inner().resource_logs.into_iter();
        let names = resources.map(|resource| resource.schema_url).collect();
        self.take(HeaderMap::new(), names).await?;
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

#[async_trait]
impl MetricsService for Sink {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let resources = request.into_inner().resource_metrics.into_iter();
        let names = resources.map(|resource| resource.schema_url).collect();
        self.take(HeaderMap::new(), names).await?;
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

/// An address at which nobody listens.
pub(super) async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

pub(super) fn span_names(request: &ExportTraceServiceRequest) -> Vec<String> {
    request.resource_spans.iter().map(|resource| resource.schema_url.clone()).collect()
}

pub(super) fn spans(name: &str) -> Vec<u8> {
    let schema_url = name.to_owned();
    let resource_spans = vec![ResourceSpans { schema_url, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

pub(super) fn logs(name: &str) -> Vec<u8> {
    let schema_url = name.to_owned();
    let resource_logs = vec![ResourceLogs { schema_url, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

pub(super) fn metrics(name: &str) -> Vec<u8> {
    let schema_url = name.to_owned();
    let resource_metrics = vec![ResourceMetrics { schema_url, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}
