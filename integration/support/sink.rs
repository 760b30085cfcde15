//! A real OTLP/gRPC backend that keeps what it gets.

use std::sync::{Arc, Mutex};

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
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// A running sink. It stops when this goes out of scope.
pub(crate) struct Sink {
    pub(crate) endpoint: String,
    kept: Kept,
    task: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Kept {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    logs: Arc<Mutex<Vec<ExportLogsServiceRequest>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    pub(crate) async fn start_at(address: &str) -> Self {
        Self::start_on(TcpListener::bind(address).await.unwrap())
    }

    pub(crate) fn start_on(listener: TcpListener) -> Self {
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let kept = Kept::default();
        let task = tokio::spawn(serve(listener, kept.clone()));
        Self { endpoint, kept, task }
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let requests = self.kept.traces.lock().unwrap();
        let resources = requests.iter().flat_map(|it| &it.resource_spans);
        resources.flat_map(|it| &it.scope_spans).flat_map(|it| &it.spans).cloned().collect()
    }

    pub(crate) fn logs(&self) -> Vec<LogRecord> {
        let requests = self.kept.logs.lock().unwrap();
        let resources = requests.iter().flat_map(|it| &it.resource_logs);
        resources.flat_map(|it| &it.scope_logs).flat_map(|it| &it.log_records).cloned().collect()
    }

    /// Everything that came, as text, to look for what must not be in it.
    pub(crate) fn text(&self) -> String {
        format!(
            "{:?}{:?}{:?}",
            self.kept.traces.lock().unwrap(),
            self.kept.logs.lock().unwrap(),
            self.kept.metrics.lock().unwrap()
        )
    }

    pub(crate) fn traces(&self) -> Vec<ExportTraceServiceRequest> {
        self.kept.traces.lock().unwrap().clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, kept: Kept) {
    let (gzip, zstd) = (CompressionEncoding::Gzip, CompressionEncoding::Zstd);
    let traces = TraceServiceServer::new(kept.clone());
    let logs = LogsServiceServer::new(kept.clone());
    let metrics = MetricsServiceServer::new(kept);
    Server::builder()
        .add_service(traces.accept_compressed(gzip).accept_compressed(zstd))
        .add_service(logs.accept_compressed(gzip).accept_compressed(zstd))
        .add_service(metrics.accept_compressed(gzip).accept_compressed(zstd))
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
        .unwrap();
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.traces.lock().unwrap().push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Kept {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.logs.lock().unwrap().push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Kept {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.metrics.lock().unwrap().push(request.into_inner());
        Ok(Response::new(Default::default()))
    }
}
