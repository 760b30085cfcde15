//! Who is asked, and how they are reached.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;

use super::Error;

/// An answer of a thousand journeys has room in this.
const ANSWER_BYTES_MAX: usize = 128 << 20;

/// Makes connections, encrypted or not.
pub(crate) type Connector = HttpsConnector<HttpConnector>;

/// A gateway's API.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// `http://host:port` or `https://host:port`.
    pub api: String,
    /// A file that holds the token, for an API that asks for one.
    pub token_file: Option<PathBuf>,
    /// The authorities to trust in place of the system's, in PEM.
    pub ca_file: Option<PathBuf>,
}

impl Target {
    /// What the gateway answers, and whether that is what was asked for.
    pub(super) async fn get(
        &self,
        path: &str,
        timeout: Duration,
    ) -> Result<(StatusCode, Value), Error> {
        let slow = |_| Error::Slow { api: self.api().to_owned(), timeout };
        tokio::time::timeout(timeout, self.exchange(path)).await.map_err(slow)?
    }

    async fn exchange(&self, path: &str) -> Result<(StatusCode, Value), Error> {
        let url = format!("{}{path}", self.api());
        let mut request = Request::get(&url);
        if let Some(bearer) = self.bearer()? {
            request = request.header(AUTHORIZATION, bearer);
        }
        let request = request.body(Empty::<Bytes>::new());
        let request = request.map_err(|source| Error::Address { url, source })?;
        let client = Client::builder(TokioExecutor::new()).build(self.connector()?);
        let asked = client.request(request).await;
        let unreachable = |source| Error::Unreachable { api: self.api().to_owned(), source };
        let response = asked.map_err(unreachable)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| Error::Answer(error.to_string()))?.to_bytes();
        let answer = serde_json::from_slice(&body);
        Ok((status, answer.map_err(|error| Error::Answer(error.to_string()))?))
    }

    fn api(&self) -> &str {
        self.api.trim_end_matches('/')
    }

    /// What says who asks, if there is a token.
    pub(crate) fn bearer(&self) -> Result<Option<HeaderValue>, Error> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let token = String::from_utf8_lossy(&read(path)?).trim().to_owned();
        let bearer = HeaderValue::try_from(format!("Bearer {token}"));
        let mut bearer = bearer.map_err(|_| Error::Token { path: path.clone() })?;
        bearer.set_sensitive(true);
        Ok(Some(bearer))
    }

    /// Authorities are only looked for when they are needed.
    pub(crate) fn connector(&self) -> Result<Connector, Error> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.ca_file {
            let pem = read(path)?;
            let found: Vec<_> = CertificateDer::pem_slice_iter(&pem).flatten().collect();
            roots.add_parsable_certificates(found);
        } else if self.api.starts_with("https:") {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(Error::Trust(format!("{:?}", found.errors)));
            }
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| Error::Trust(error.to_string()))?;
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        let builder = HttpsConnectorBuilder::new().with_tls_config(config);
        Ok(builder.https_or_http().enable_all_versions().build())
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::File { path: path.clone(), source })
}
