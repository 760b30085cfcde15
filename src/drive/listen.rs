//! The addresses that the settings name, and the gates in front of them.

use std::io;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::tasks::Crew;
use crate::receive;
use crate::receive::{Address, Gate, Listener, Look, Tls};
use crate::settings::Settings;

/// How often the files of a certificate are looked at. They are small, and a rotation has hours.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Bound outside the gateway, so that a test can start one on ports of its own.
#[derive(Debug)]
pub struct Listeners {
    /// OTLP over gRPC.
    pub grpc: Option<Listener>,
    /// OTLP over HTTP, and flows.
    pub http: Option<Listener>,
    /// The API.
    pub api: Listener,
}

/// Who may come in: at the doors, and at the API.
#[derive(Clone, Debug)]
pub(crate) struct Gates {
    pub(crate) otlp: Gate,
    pub(crate) api: Gate,
}

/// An address is taken, or not ours.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({key})")]
pub struct ListenError {
    /// Which setting names it.
    key: &'static str,
    /// The address.
    address: Address,
    /// Why.
    source: io::Error,
}

impl Listeners {
    /// Binds what the settings name.
    ///
    /// # Errors
    /// When an address is taken, or not ours.
    pub async fn bind(settings: &Settings) -> Result<Self, ListenError> {
        let (receive, api) = (&settings.receive, Address::Tcp(settings.serve.listen));
        Ok(Self {
            grpc: bind("receive.otlp.grpc.listen", receive.grpc.as_ref()).await?,
            http: bind("receive.otlp.http.listen", receive.http.as_ref()).await?,
            api: listen("serve.listen", &api).await?,
        })
    }

    pub(crate) fn announce(&self) {
        let address = |listener: &Listener| listener.address().map(|it| it.to_string());
        if let Some(Ok(address)) = self.grpc.as_ref().map(address) {
            tracing::info!(%address, "OTLP over gRPC");
        }
        if let Some(Ok(address)) = self.http.as_ref().map(address) {
            tracing::info!(%address, "OTLP over HTTP, and flows at /v1/flows");
        }
        if let Ok(address) = address(&self.api) {
            tracing::info!(%address, "API");
        }
    }
}

impl Gates {
    /// Reads the certificates.
    pub(crate) fn open(settings: &Settings) -> Result<Self, receive::Error> {
        let tls = |tls: &crate::settings::Tls| tls.files().map(Tls::open).transpose();
        let otlp = Gate::new(settings.for_gate(), tls(&settings.receive.tls)?);
        let api = Gate::new(settings.for_api_gate(), tls(&settings.serve.tls)?);
        Ok(Self { otlp, api })
    }

    /// Looks at the files of the certificates now and then, until `stop`.
    pub(crate) fn watch(&self, crew: &mut Crew, stop: &CancellationToken) {
        for tls in self.certificates() {
            crew.spawn(tls.clone().watch(LOOK_INTERVAL, stop.clone()));
        }
    }

    /// Lets in whom the settings name now, and looks at the files of the certificates.
    pub(crate) async fn reload(&self, settings: &Settings) {
        self.otlp.renew(settings.receive.auth.clone());
        self.api.renew(settings.serve.auth.clone());
        let certificates: Vec<_> = self.certificates().cloned().collect();
        let look =
            move || certificates.iter().map(Tls::reload).filter(|it| *it != Look::Same).count();
        if let Ok(0) = tokio::task::spawn_blocking(look).await {
            tracing::info!("no certificate has changed");
        }
    }

    fn certificates(&self) -> impl Iterator<Item = &Tls> {
        [&self.otlp, &self.api].into_iter().filter_map(Gate::tls)
    }
}

async fn bind(
    key: &'static str,
    address: Option<&Address>,
) -> Result<Option<Listener>, ListenError> {
    match address {
        None => Ok(None),
        Some(address) => listen(key, address).await.map(Some),
    }
}

async fn listen(key: &'static str, address: &Address) -> Result<Listener, ListenError> {
    let bound = Listener::bind(address).await;
    bound.map_err(|source| ListenError { key, address: address.clone(), source })
}
