//! Certificate authorities, and clients that trust one.

use std::path::PathBuf;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType, date_time_ymd,
};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::*;

/// An authority and the files of a door: its certificate, its key, whom it lets in.
pub(super) struct Pki {
    folder: tempfile::TempDir,
    pub(super) issuer: Authority,
}

pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a client shows.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) chain: String,
    pub(super) key: String,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, params: &CertificateParams) -> Shown {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Shown { chain: certificate.pem(), key: key.serialize_pem() }
    }

    pub(super) fn server(&self) -> Shown {
        self.sign(&CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap())
    }

    /// A client whose certificate names these URIs.
    pub(super) fn client(&self, uris: &[&str]) -> Shown {
        self.sign(&client(uris))
    }

    pub(super) fn expired_client(&self, uri: &str) -> Shown {
        let mut params = client(&[uri]);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 2);
        self.sign(&params)
    }

    /// A certificate of a server, shown by a client.
    pub(super) fn client_for_servers(&self, uri: &str) -> Shown {
        let mut params = client(&[uri]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }
}

fn client(uris: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    // Names that a careless reader would take for the identity.
    params.distinguished_name.push(DnType::CommonName, "spiffe://a.example/ns/shop/sa/cart");
    params.subject_alt_names.push(SanType::DnsName("a.example".try_into().unwrap()));
    let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
    params.subject_alt_names.extend(uris);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

impl Pki {
    pub(super) fn new() -> Self {
        let pki = Self { folder: tempfile::tempdir().unwrap(), issuer: Authority::new("own") };
        pki.write("ca.pem", &pki.issuer.0.pem());
        pki.rotate();
        pki
    }

    /// A new certificate of the door.
    pub(super) fn rotate(&self) -> Shown {
        let shown = self.issuer.server();
        self.write("door.pem", &shown.chain);
        self.write("door.key", &shown.key);
        shown
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The door's files; clients are asked for a certificate when `client_ca` says so.
    pub(super) fn files(&self, client_ca: bool) -> Files {
        Files {
            cert: self.path("door.pem"),
            key: self.path("door.key"),
            client_ca: client_ca.then(|| self.path("ca.pem")),
            oldest: Version::Tls12,
        }
    }

    pub(super) fn tls(&self) -> Tls {
        Tls::open(self.files(false)).unwrap()
    }

    pub(super) fn mutual_tls(&self) -> Tls {
        Tls::open(self.files(true)).unwrap()
    }

    /// A client that trusts this authority.
    pub(super) fn trusting(&self, shown: Option<&Shown>) -> ClientConfig {
        self.speaking(&version::TLS13, shown)
    }

    pub(super) fn speaking(
        &self,
        version: &'static SupportedProtocolVersion,
        shown: Option<&Shown>,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(&[version]).unwrap();
        let builder = builder.with_root_certificates(roots);
        match shown {
            None => builder.with_no_client_auth(),
            Some(Shown { chain, key }) => {
                let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain.map(Result::unwrap).collect(), key).unwrap()
            }
        }
    }

    pub(super) fn connector(&self, shown: Option<&Shown>) -> HttpsConnector<HttpConnector> {
        let connector = HttpsConnectorBuilder::new().with_tls_config(self.trusting(shown));
        connector.https_only().enable_all_versions().build()
    }
}
