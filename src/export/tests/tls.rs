//! Certificates, real ones.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
struct Signed {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, name: &str) -> Signed {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Signed { certificate, key }
    }

    fn save(&self, path: &Path) {
        std::fs::write(path, self.0.pem()).unwrap();
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Arc::new(roots)
    }
}

impl Signed {
    fn save(&self, identity: &Identity) {
        std::fs::write(&identity.cert_file, self.certificate.pem()).unwrap();
        std::fs::write(&identity.key_file, self.key.serialize_pem()).unwrap();
    }

    /// A server with this certificate; with `clients`, one that asks who is there.
    fn acceptor(&self, clients: Option<&Authority>) -> TlsAcceptor {
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(authority.roots(), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let mut config =
            config.with_single_cert(vec![self.certificate.der().clone()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

fn secure(sink: &Sink, tls: Tls) -> Destination {
    let endpoint = format!("https://127.0.0.1:{}", sink.address.port());
    Destination { endpoint, tls, ..destination(sink) }
}

#[tokio::test]
async fn a_destination_proves_itself_by_the_ca_file() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let authority = Authority::new("ours");
    authority.save(&ca_file);
    let sink = Sink::with_tls(authority.sign("127.0.0.1").acceptor(None)).await;
    let tls = Tls { ca_file: Some(ca_file), ..Tls::default() };
    for own in both(&secure(&sink, tls)) {
        let run = Run::start(own);
        run.feed_spans(names(0..20)).await;
        assert_eq!(run.finish().await.done(Signal::Traces), 20);
    }
    assert_eq!(sink.names().len(), 40);
}

#[tokio::test]
async fn who_cannot_prove_itself_is_sent_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    ours.save(&ca_file);
    let ca = || Tls { ca_file: Some(ca_file.clone()), ..Tls::default() };
    let missing = folder.path().join("none.pem");
    let said = format!("cannot use {}: ", missing.display());
    let cases = [
        (theirs.sign("127.0.0.1"), ca(), "invalid peer certificate: UnknownIssuer"),
        (ours.sign("elsewhere"), ca(), "invalid peer certificate: certificate not valid for name"),
        (ours.sign("127.0.0.1"), Tls::default(), "invalid peer certificate: UnknownIssuer"),
        (ours.sign("127.0.0.1"), Tls { ca_file: Some(missing), ..ca() }, said.as_str()),
    ];
    for (signed, tls, expected) in cases {
        let sink = Sink::with_tls(signed.acceptor(None)).await;
        let run = Run::start(secure(&sink, tls));
        run.feed_spans(names(0..1)).await;
        until("it was tried again", || run.health.summary().retries > 1).await;

        let said = run.health.summary().last_error.unwrap();
        assert!(said.contains(expected), "{said}");
        assert_eq!((sink.arrived(), run.hand.items(Signal::Traces)), (0, 1));
        run.halt().await;
    }
}

#[tokio::test]
async fn the_name_in_the_certificate_can_be_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let authority = Authority::new("ours");
    authority.save(&ca_file);
    let sink = Sink::with_tls(authority.sign("tempo.internal").acceptor(None)).await;
    let server_name = Some("tempo.internal".to_owned());
    let run =
        Run::start(secure(&sink, Tls { ca_file: Some(ca_file), server_name, identity: None }));
    run.feed_spans(names(0..1)).await;

    assert_eq!(run.finish().await.done(Signal::Traces), 1);
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let identity = Identity { cert_file: file("cert.pem"), key_file: file("key.pem") };
    let (authority, old) = (Authority::new("ours"), Authority::new("theirs"));
    authority.save(&file("ca.pem"));
    old.sign("hopline").save(&identity);
    let acceptor = authority.sign("127.0.0.1").acceptor(Some(&authority));
    let sink = Sink::with_tls(acceptor).await;
    let identity2 = Some(identity.clone());
    let tls = Tls { ca_file: Some(file("ca.pem")), identity: identity2, server_name: None };
    let run = Run::start(secure(&sink, tls));
    run.feed_spans(names(0..1)).await;
    until("it was tried again", || run.health.summary().retries > 2).await;
    assert_eq!(sink.arrived(), 0);

    authority.sign("hopline").save(&identity);

    assert_eq!(run.finish().await.done(Signal::Traces), 1);
}

#[tokio::test]
async fn a_destination_that_asks_for_a_certificate_gets_nothing_without() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let authority = Authority::new("ours");
    authority.save(&ca_file);
    let acceptor = authority.sign("127.0.0.1").acceptor(Some(&authority));
    let sink = Sink::with_tls(acceptor).await;
    let run = Run::start(secure(&sink, Tls { ca_file: Some(ca_file), ..Tls::default() }));
    run.feed_spans(names(0..1)).await;
    until("it was tried again", || run.health.summary().retries > 1).await;

    assert_eq!(sink.arrived(), 0);
    run.halt().await;
}
