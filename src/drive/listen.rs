//! The addresses that the settings name.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::settings::Settings;

/// Bound outside the gateway, so that a test can start one on ports of its own.
#[derive(Debug)]
pub struct Listeners {
    /// OTLP over gRPC.
    pub grpc: Option<TcpListener>,
    /// OTLP over HTTP, and flows.
    pub http: Option<TcpListener>,
    /// The API.
    pub api: TcpListener,
}

/// An address is taken, or not ours.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({key})")]
pub struct ListenError {
    /// Which setting names it.
    key: &'static str,
    /// The address.
    address: SocketAddr,
    /// Why.
    source: io::Error,
}

impl Listeners {
    /// Binds what the settings name.
    ///
    /// # Errors
    /// When an address is taken, or not ours.
    pub async fn bind(settings: &Settings) -> Result<Self, ListenError> {
        let grpc = bind("receive.otlp.grpc.listen", settings.receive.grpc);
        let http = bind("receive.otlp.http.listen", settings.receive.http);
        let (grpc, http) = (grpc.await?, http.await?);
        let address = settings.serve.listen;
        let api = TcpListener::bind(address).await;
        let api = api.map_err(|source| ListenError { key: "serve.listen", address, source })?;
        Ok(Self { grpc, http, api })
    }

    pub(crate) fn announce(&self) {
        let address = |listener: &TcpListener| listener.local_addr().map(|it| it.to_string());
        if let Some(Ok(address)) = self.grpc.as_ref().map(address) {
            tracing::info!(%address, "OTLP over gRPC");
        }
        if let Some(Ok(address)) = self.http.as_ref().map(address) {
            tracing::info!(%address, "OTLP over HTTP, and flows at /v1/flows");
        }
        if let Ok(address) = address(&self.api) {
            tracing::info!(address = %format!("http://{address}"), "API");
        }
    }
}

async fn bind(
    key: &'static str,
    address: Option<SocketAddr>,
) -> Result<Option<TcpListener>, ListenError> {
    let Some(address) = address else { return Ok(None) };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(source) => Err(ListenError { key, address, source }),
    }
}
