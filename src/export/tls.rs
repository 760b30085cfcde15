//! Whom a destination has to prove itself to be, and how Hopline proves itself to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{Identity, Protocol, Tls};

/// What the files of a destination say, read again when they change: whoever renews a certificate
/// does not restart the gateway.
#[derive(Debug)]
pub(super) struct Trust {
    tls: Tls,
    protocol: Protocol,
    latest: Mutex<Option<Latest>>,
}

/// What the files said when they were read last.
#[derive(Clone, Debug)]
struct Latest {
    stamps: Vec<Stamp>,
    config: Arc<ClientConfig>,
}

/// A file as it was when it was read.
type Stamp = Option<(SystemTime, u64)>;

impl Trust {
    pub(super) fn new(tls: Tls, protocol: Protocol) -> Self {
        Self { tls, protocol, latest: Mutex::default() }
    }

    /// The name that the destination's certificate must have, if it is not the endpoint's.
    pub(super) fn server_name(&self) -> Option<&str> {
        self.tls.server_name.as_deref()
    }

    /// What the next connection is made with. It reads files: not for an async thread.
    pub(super) fn config(&self) -> io::Result<Arc<ClientConfig>> {
        let stamps = self.stamps();
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(latest) = latest.as_ref().filter(|latest| latest.stamps == stamps) {
            return Ok(Arc::clone(&latest.config));
        }
        match (self.load(), latest) {
            (Ok(config), _) => {
                let config = Arc::new(config);
                let latest = Latest { stamps, config: Arc::clone(&config) };
                *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(latest);
                Ok(config)
            }
            (Err(error), Some(Latest { config, .. })) => {
                // A certificate and its key are not replaced at the same moment.
                tracing::warn!(%error, "the new certificates cannot be used; the old ones still are");
                Ok(config)
            }
            (Err(error), None) => Err(error),
        }
    }

    fn stamps(&self) -> Vec<Stamp> {
        let identity = self.tls.identity.iter().flat_map(|it| [&it.cert_file, &it.key_file]);
        let stamp = |path: &PathBuf| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        self.tls.ca_file.iter().chain(identity).map(stamp).collect()
    }

    fn load(&self) -> io::Result<ClientConfig> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(self.roots()?);
        let mut config = match &self.tls.identity {
            None => config.with_no_client_auth(),
            Some(Identity { cert_file, key_file }) => {
                let chain = certificates(cert_file)?;
                let key = PrivateKeyDer::from_pem_file(key_file)
                    .map_err(|error| unusable(key_file, &error))?;
                let with_key = config.with_client_auth_cert(chain, key);
                with_key.map_err(|error| match error {
                    rustls::Error::InconsistentKeys(_) => mismatch(cert_file, key_file),
                    error => unusable(cert_file, &error),
                })?
            }
        };
        config.alpn_protocols = match self.protocol {
            Protocol::Grpc => vec![b"h2".to_vec()],
            Protocol::Http => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        Ok(config)
    }

    /// Those of the file, or those of the system; never nobody.
    fn roots(&self) -> io::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        match &self.tls.ca_file {
            Some(file) => {
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|error| unusable(file, &error))?;
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
            }
        }
        if roots.is_empty() {
            return Err(io::Error::other("the system has no root certificates; set ca_file"));
        }
        Ok(roots)
    }
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).map_err(|error| unusable(file, &error))?;
    let found: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| unusable(file, &error))?;
    if found.is_empty() {
        return Err(unusable(file, &"there is no certificate in it"));
    }
    Ok(found)
}

fn mismatch(cert_file: &Path, key_file: &Path) -> io::Error {
    let (cert, key) = (cert_file.display(), key_file.display());
    io::Error::other(format!("{key} is not the key of the certificate in {cert}"))
}

fn unusable(file: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("cannot use {}: {error}", file.display()))
}
