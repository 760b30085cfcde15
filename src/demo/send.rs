//! The edge: sends OTLP over gRPC and flow lines over HTTP, and tries again when asked to.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Extensions, Status};

use super::{Error, Options};
use crate::serve::client::{Connector, Target};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait before each further try; after the last the batch is lost.
const WAITS: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(800), Duration::from_millis(2_000)];

/// Sends to one endpoint, and flows to another.
#[derive(Debug)]
pub(crate) struct Sender {
    grpc: Grpc<Channel>,
    http: Client<Connector, Full<Bytes>>,
    flows: Option<Uri>,
    /// Sent with every request: who sends it.
    headers: HeaderMap,
}

/// Which service takes a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Service {
    Traces,
    Logs,
    Metrics,
}

/// How one try ended.
enum Try {
    /// This many items were not taken.
    Rejected(u64),
    /// It may go well later.
    Again(String),
    /// It never will.
    Refused(String),
}

impl Sender {
    /// Connects, and checks where flows go.
    pub(crate) async fn connect(options: &Options) -> Result<Self, Error> {
        let endpoint = &options.endpoint;
        let failed = |source| Error::Connect { endpoint: endpoint.clone(), source };
        let target = |to: &str| Target {
            api: to.to_owned(),
            token_file: options.token_file.clone(),
            ca_file: options.ca_file.clone(),
        };
        let door = target(endpoint);
        let channel = Endpoint::from_shared(endpoint.clone())
            .map_err(failed)?
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .connect_with_connector(door.connector()?)
            .await
            .map_err(failed)?;
        let flows = options.flows.as_deref();
        let connector = target(flows.unwrap_or_default()).connector()?;
        let bearer = door.bearer()?.map(|bearer| (header::AUTHORIZATION, bearer));
        let flows = flows.map(|base| {
            let url = format!("{}/v1/flows", base.trim_end_matches('/'));
            url.parse().map_err(|source| Error::Flows { url, source })
        });
        Ok(Self {
            grpc: Grpc::new(channel),
            http: Client::builder(TokioExecutor::new()).build(connector),
            flows: flows.transpose()?,
            headers: HeaderMap::from_iter(bearer),
        })
    }

    /// Whether anyone wants flows.
    pub(crate) fn wants_flows(&self) -> bool {
        self.flows.is_some()
    }

    /// Sends a request with this many items; answers how many were taken.
    pub(crate) async fn export(
        &mut self,
        service: Service,
        request: &impl Message,
        items: u64,
    ) -> u64 {
        let bytes = Bytes::from(request.encode_to_vec());
        let mut waits = WAITS.into_iter();
        loop {
            let tried = self.call(service, bytes.clone()).await;
            if let Some(taken) = settle(tried, items, &mut waits).await {
                return taken;
            }
        }
    }

    /// Posts flow lines; answers how many were taken.
    pub(crate) async fn post(&self, lines: &[String]) -> u64 {
        let Some(url) = &self.flows else { return 0 };
        let bytes = Bytes::from(lines.join("\n") + "\n");
        let mut waits = WAITS.into_iter();
        loop {
            let tried = self.request(url, bytes.clone()).await;
            if let Some(taken) = settle(tried, lines.len() as u64, &mut waits).await {
                return taken;
            }
        }
    }

    async fn call(&mut self, service: Service, bytes: Bytes) -> Try {
        if let Err(error) = self.grpc.ready().await {
            return Try::Again(error.to_string());
        }
        let path = PathAndQuery::from_static(service.path());
        let metadata = MetadataMap::from_headers(self.headers.clone());
        let request = tonic::Request::from_parts(metadata, Extensions::default(), bytes);
        match self.grpc.unary(request, path, Plain).await {
            Ok(answer) => Try::Rejected(rejected(answer.into_inner())),
            Err(status) if is_retryable(status.code()) => Try::Again(status.code().to_string()),
            Err(status) => Try::Refused(status.code().to_string()),
        }
    }

    async fn request(&self, url: &Uri, bytes: Bytes) -> Try {
        let request = Request::builder()
            .method(Method::POST)
            .uri(url.clone())
            .header(header::CONTENT_TYPE, "application/x-ndjson")
            .body(Full::new(bytes));
        let Ok(mut request) = request else { return Try::Refused("no request".to_owned()) };
        request.headers_mut().extend(self.headers.clone());
        match tokio::time::timeout(REQUEST_TIMEOUT, self.http.request(request)).await {
            Err(_) => Try::Again("no answer in time".to_owned()),
            Ok(Err(error)) => Try::Again(error.to_string()),
            Ok(Ok(answer)) if answer.status().is_success() => Try::Rejected(0),
            Ok(Ok(answer)) if may_pass(answer.status()) => Try::Again(answer.status().to_string()),
            Ok(Ok(answer)) => Try::Refused(answer.status().to_string()),
        }
    }
}

impl Service {
    fn path(self) -> &'static str {
        match self {
            Self::Traces => TRACES,
            Self::Logs => LOGS,
            Self::Metrics => METRICS,
        }
    }
}

/// How many of the items were taken; `None` after a wait, to try again.
async fn settle(tried: Try, items: u64, waits: &mut impl Iterator<Item = Duration>) -> Option<u64> {
    let reason = match tried {
        Try::Rejected(count) => return Some(items.saturating_sub(count)),
        Try::Again(reason) => {
            if let Some(wait) = waits.next() {
                tokio::time::sleep(wait).await;
                return None;
            }
            reason
        }
        Try::Refused(reason) => reason,
    };
    tracing::warn!(items, reason, "batch lost");
    Some(0)
}

/// The answers of all three services are the same on the wire. One that cannot be read rejects
/// nothing, as an empty one does.
fn rejected(answer: Bytes) -> u64 {
    let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
    let rejected = answer.partial_success.map(|partial| partial.rejected_spans);
    rejected.and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}

/// The codes that OTLP lets a client try again after. It would have `ResourceExhausted` come with
/// a delay; here the waits are fixed.
fn is_retryable(code: Code) -> bool {
    matches!(
        code,
        Code::Cancelled
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
    )
}

fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502..=504)
}

/// Messages that are bytes already, so that a further try encodes nothing again.
#[derive(Clone, Copy, Debug)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
