//! TLS at a door: its certificate, who must show one, and how a new one is taken.
//!
//! The files are read again now and then. When they changed and are right, the next handshake uses
//! them; connections that are open stay. When they are wrong, what was right before stays.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{Error as TlsError, RootCertStore, ServerConfig, version};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::door::Speaks;

/// A chain of certificates has a few KiB; the CAs of a company a few hundred.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where a door's certificate is, and what it asks of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The chain, the door's own certificate first, in PEM.
    pub cert: PathBuf,
    /// The key of the first certificate, in PEM.
    pub key: PathBuf,
    /// Clients must show a certificate that one of these has signed.
    pub client_ca: Option<PathBuf>,
    /// The oldest version that is spoken.
    pub oldest: Version,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.2, and all later ones.
    Tls12,
    /// 1.3.
    Tls13,
}

/// What became of a look at the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// They are as they were.
    Same,
    /// New handshakes use what is in them now.
    Taken,
    /// They are wrong, and what was right before stays.
    Kept,
}

/// The certificate of some doors, as it is now. Clones share it.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: Files,
    current: ArcSwap<Current>,
    /// Of the files when they were last read, right or wrong.
    seen: Mutex<blake3::Hash>,
    taken: AtomicU64,
    kept: AtomicU64,
}

/// What handshakes use.
#[derive(Debug)]
struct Current {
    http2: Arc<ServerConfig>,
    both: Arc<ServerConfig>,
    not_after: u64,
}

/// The files as they were read.
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read, or they are no certificate with its key.
    pub fn open(files: Files) -> Result<Self, Error> {
        let contents = Contents::read(&files)?;
        let current = ArcSwap::from_pointee(contents.current(&files)?);
        let seen = Mutex::new(contents.digest());
        let (taken, kept) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self(Arc::new(Inner { files, current, seen, taken, kept })))
    }

    /// Reads the files again, and takes what is in them if it is new and right.
    pub fn reload(&self) -> Look {
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let read = Contents::read(&self.0.files);
        let digest = match &read {
            Ok(contents) => contents.digest(),
            Err(error) => blake3::hash(format!("{error:?}").as_bytes()),
        };
        // Wrong files are told of once, not at every look.
        if std::mem::replace(&mut *seen, digest) == digest {
            return Look::Same;
        }
        let cert = self.0.files.cert.display();
        match read.and_then(|contents| contents.current(&self.0.files)) {
            Ok(current) => {
                tracing::info!(%cert, not_after = current.not_after, "new certificate");
                self.0.current.store(Arc::new(current));
                self.0.taken.fetch_add(1, Ordering::Relaxed);
                Look::Taken
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "new certificate is wrong, the old one stays");
                self.0.kept.fetch_add(1, Ordering::Relaxed);
                Look::Kept
            }
        }
    }

    /// Looks at the files every `interval` until `stop`.
    pub async fn watch(self, interval: Duration, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(interval) => {}
            }
            let tls = self.clone();
            // Files may lie on a network disk.
            let _looked = tokio::task::spawn_blocking(move || tls.reload()).await;
        }
    }

    /// When the first certificate of the chain in use ends, in seconds since 1970.
    #[must_use]
    pub fn not_after(&self) -> u64 {
        self.0.current.load().not_after
    }

    /// How often new files were taken, and how often they were wrong.
    #[must_use]
    pub fn reloads(&self) -> (u64, u64) {
        (self.0.taken.load(Ordering::Relaxed), self.0.kept.load(Ordering::Relaxed))
    }

    pub(super) fn acceptor(&self, speaks: Speaks) -> TlsAcceptor {
        let current = self.0.current.load();
        TlsAcceptor::from(Arc::clone(match speaks {
            Speaks::Http2 => &current.http2,
            Speaks::Both => &current.both,
        }))
    }
}

impl Contents {
    fn read(files: &Files) -> Result<Self, Error> {
        let client_ca = files.client_ca.as_deref().map(read).transpose()?;
        Ok(Self { cert: read(&files.cert)?, key: read(&files.key)?, client_ca })
    }

    fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for part in [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()] {
            let part = part.map_or(&[][..], Vec::as_slice);
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        hasher.finalize()
    }

    fn current(&self, files: &Files) -> Result<Current, Error> {
        let wrong = |source| match source {
            TlsError::InconsistentKeys(_) => {
                Error::Mismatch { cert: files.cert.clone(), key: files.key.clone() }
            }
            source => Error::Tls { path: files.cert.clone(), source },
        };
        let chain = certificates(&self.cert, &files.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key);
        let key = key.map_err(|_| Error::Pem { path: files.key.clone(), what: "private key" })?;
        let not_after = not_after(&chain);
        let versions = match files.oldest {
            Version::Tls12 => &[&version::TLS13, &version::TLS12][..],
            Version::Tls13 => &[&version::TLS13],
        };
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(versions).map_err(wrong)?;
        let asked = files.client_ca.as_deref().zip(self.client_ca.as_deref());
        let mut config = match asked {
            None => builder.with_no_client_auth().with_single_cert(chain, key),
            Some((path, pem)) => {
                let verifier = verifier(path, pem, provider)?;
                builder.with_client_cert_verifier(verifier).with_single_cert(chain, key)
            }
        }
        .map_err(wrong)?;
        if asked.is_some() {
            // A session that is resumed does not show the certificate again, which may have ended.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        let speaking = |names: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        };
        let (http2, both) = (speaking(&[b"h2"]), speaking(&[b"h2", b"http/1.1"]));
        Ok(Current { http2, both, not_after })
    }
}

fn verifier(
    path: &Path,
    pem: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let none = || Error::Pem { path: path.to_owned(), what: "certificate authority" };
    let mut roots = RootCertStore::empty();
    for root in certificates(pem, path)? {
        roots.add(root).map_err(|_| none())?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|_| none())
}

/// One at least.
fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| Error::Pem { path: path.to_owned(), what: "certificate" })
}

/// Of the certificate that ends first: the chain is as good as that one.
fn not_after(chain: &[CertificateDer<'_>]) -> u64 {
    let ends = chain.iter().filter_map(|der| {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        u64::try_from(certificate.validity().not_after.timestamp()).ok()
    });
    ends.min().unwrap_or(0)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
