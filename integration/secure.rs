//! A gateway that is encrypted and asks who is there.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::client::conn::http1::SendRequest;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType,
};
use rustls::client::WantsClientCert;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;

use crate::support::gateway::Gateway;
use crate::support::otlp::{send_traces, span, traces};
use crate::support::{eventually, http};

/// Of `sesame`.
const TOKEN: &str = "shop sha256:d0c04f4b1951e4aeaaec8223ed2039e542f3aae805a6fa7f6d794e5afff5d272";
const SHOP: u32 = 2_078_091_908;
/// Of `open`.
const NEW_TOKEN: &str =
    "shop sha256:2348f998744212575d85959674f9607ab26f67708a917157472832386337c904";

/// An authority, and a folder with the door's certificate, its key and the authority's.
struct Pki {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pki = Self { folder: tempfile::tempdir().unwrap(), issuer };
        std::fs::write(pki.path("ca.pem"), pki.issuer.pem()).unwrap();
        pki.rotate(2040);
        pki
    }

    /// A new certificate, which ends with the year before.
    fn rotate(&self, year: i32) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path("door.key"), key.serialize_pem()).unwrap();
        std::fs::write(self.path("door.pem"), certificate.pem()).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The settings of a group of doors.
    fn settings(&self, group: &str) -> [String; 3] {
        [
            format!("{group}.tls.cert_file={}", self.path("door.pem")),
            format!("{group}.tls.key_file={}", self.path("door.key")),
            format!("{group}.auth.tokens={TOKEN}"),
        ]
    }

    fn trusting(&self) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        config.with_root_certificates(roots)
    }

    fn connector(&self) -> HttpsConnector<HttpConnector> {
        let config = self.trusting().with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(config);
        connector.https_only().enable_all_versions().build()
    }

    /// The status of one request.
    async fn send(&self, url: &str, token: Option<&str>, body: Vec<u8>) -> Option<u16> {
        let client = Client::builder(TokioExecutor::new()).build(self.connector());
        let method = if body.is_empty() { "GET" } else { "POST" };
        let request = ::http::Request::builder().method(method).uri(url);
        let request = request.header("content-type", "application/x-protobuf");
        let request = match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        let answer = client.request(request.body(Full::new(Bytes::from(body))).unwrap()).await;
        let (parts, body) = answer.ok()?.into_parts();
        body.collect().await.ok()?;
        Some(parts.status.as_u16())
    }
}

async fn start(pki: &Pki, group: &str) -> Gateway {
    let settings = pki.settings(group);
    Gateway::start(&settings.each_ref().map(String::as_str)).await
}

/// One connection, and what is asked on it. When it ends, so does the test.
struct Line(SendRequest<Full<Bytes>>);

impl Line {
    /// Encrypted, with a certificate that names `identity`.
    async fn shown(pki: &Pki, identity: &str, port: u16) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![SanType::URI(identity.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &pki.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let chain = vec![certificate.der().clone()];
        let config = pki.trusting().with_client_auth_cert(chain, key).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let name = "127.0.0.1".try_into().unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        Self::over(connector.connect(name, stream).await.unwrap()).await
    }

    async fn plain(port: u16) -> Self {
        Self::over(TcpStream::connect(("127.0.0.1", port)).await.unwrap()).await
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (line, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(line)
    }

    /// The status of one request.
    async fn ask(&mut self, method: &str, path: &str, token: Option<&str>) -> u16 {
        let request = ::http::Request::builder().method(method).uri(path).header("host", "x");
        let request = request.header("content-type", "application/x-protobuf");
        let request = match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        let sent = self.0.send_request(request.body(Full::default()).unwrap()).await;
        let (parts, body) = sent.unwrap().into_parts();
        body.collect().await.unwrap();
        parts.status.as_u16()
    }
}

/// The value of one sample.
async fn metric(gateway: &Gateway, name: &str) -> String {
    let text = http::get(&gateway.api("/metrics")).await.unwrap().text;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name}: {text}")).trim().to_owned()
}

#[tokio::test]
async fn evidence_comes_in_encrypted_and_with_its_tenants_token_alone() {
    let pki = Pki::new();
    let gateway = start(&pki, "receive").await;
    let http = format!("https://127.0.0.1:{}/v1/traces", gateway.ports.http);
    let body = traces("cart", vec![span(0xabc, 1, 0, 2, 1)]).encode_to_vec();
    for (token, expected) in [(None, 401), (Some("open"), 401), (Some("sesame"), 200)] {
        assert_eq!(pki.send(&http, token, body.clone()).await, Some(expected), "{token:?}");
    }
    let grpc = Endpoint::new(format!("https://127.0.0.1:{}", gateway.ports.grpc)).unwrap();
    let channel = grpc.connect_with_connector(pki.connector()).await.unwrap();
    let mut client = TraceServiceClient::new(channel);
    let message = traces("cart", vec![span(0xdef, 1, 0, 2, 1)]);
    let mut request = tonic::Request::new(message.clone());
    request.metadata_mut().insert("authorization", "Bearer sesame".parse().unwrap());
    client.export(request).await.unwrap();
    let denied = client.export(message.clone()).await.unwrap_err();
    assert_eq!(denied.code(), tonic::Code::Unauthenticated);
    assert!(send_traces(&gateway.grpc(), message).await.is_err());

    for id in [0xabc_u128, 0xdef] {
        assert_eq!(gateway.found(&format!("id:{id:032x}")).await.len(), 1);
    }
    let status = gateway.settled().await;
    assert_eq!(status["ledger"]["signals"][0]["admitted"], 2);
    let door = &status["doors"][0];
    let shop = serde_json::json!([{ "name": "shop", "number": SHOP, "requests": 2 }]);
    assert_eq!(door["tenants"], shop);
    assert_eq!(door["denied"]["no_credential"], 2);
    assert_eq!(door["denied"]["wrong_credential"], 1);
}

#[tokio::test]
async fn a_hangup_takes_the_new_certificate() {
    let pki = Pki::new();
    let gateway = start(&pki, "receive").await;
    let ends = "hopline_tls_certificate_expiry_seconds{door=\"otlp\"}";
    assert_eq!(metric(&gateway, ends).await, "2208988800");

    pki.rotate(2041);
    let pid = gateway.pid();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());

    eventually("the new certificate is used", || async {
        (metric(&gateway, ends).await == "2240611200").then_some(())
    })
    .await;
    let url = format!("https://127.0.0.1:{}/v1/traces", gateway.ports.http);
    assert_eq!(pki.send(&url, Some("sesame"), vec![0]).await, Some(400));
}

#[tokio::test]
async fn a_hangup_lets_in_whom_the_settings_name_now_on_open_connections_too() {
    let pki = Pki::new();
    let settings = |token: &str, path: &str| {
        let auth = format!("auth: {{tokens: [{token}]");
        let identity = format!("identities: [shop spiffe://a.example/{path}]");
        format!("receive: {{{auth}, {identity}}}}}\nserve: {{{auth}}}}}\n")
    };
    let [cert, key, _] = pki.settings("receive");
    let ca = format!("receive.tls.client_ca_file={}", pki.path("ca.pem"));
    let gateway = Gateway::start_with_file(&settings(TOKEN, "till"), &[&cert, &key, &ca]).await;
    let mut door = Line::shown(&pki, "spiffe://a.example/cart", gateway.ports.http).await;
    let mut api = Line::plain(gateway.ports.api).await;
    let hang_up = || Command::new("kill").args(["-HUP", &gateway.pid()]).status().unwrap();
    let credentials = [Some("sesame"), Some("open"), None];
    let mut answers = async || {
        let mut answers = Vec::new();
        for token in credentials {
            answers.push(door.ask("POST", "/v1/traces", token).await);
        }
        for token in credentials {
            answers.push(api.ask("GET", "/api/v1/status", token).await);
        }
        answers
    };
    let before = [200, 401, 403, 200, 401, 401];
    assert_eq!(answers().await, before);

    gateway.write_file(&settings("shop sha256:beef", "cart"));
    hang_up();
    eventually("the settings are refused", || async {
        gateway.own_log().contains("nothing has changed").then_some(())
    })
    .await;
    assert_eq!(answers().await, before);

    gateway.write_file(&settings(NEW_TOKEN, "cart"));
    hang_up();
    eventually("the settings are read again", || async {
        gateway.own_log().contains("settings read again").then_some(())
    })
    .await;
    assert_eq!(answers().await, [401, 200, 200, 401, 200, 401]);
}

#[tokio::test]
async fn the_api_asks_on_every_route_but_two() {
    let pki = Pki::new();
    let settings = pki.settings("serve");
    // Not encrypted, so that the test's plain client can wait for it.
    let gateway = Gateway::start(&[&settings[2]]).await;
    let status = async |path: &str| http::get(&gateway.api(path)).await.unwrap().status;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(status(path).await, 200, "{path}");
    }
    let described = include_str!("../src/serve/mod.rs").split(".route(\"").skip(1);
    let routes: Vec<_> = described.filter_map(|rest| rest.split('"').next()).collect();
    assert!(routes.len() >= 9, "{routes:?}");
    let closed = routes.into_iter().filter(|route| !["/healthz", "/readyz"].contains(route));
    for path in closed.chain(["/nothing", "//healthz", "/healthz/", "/readyz/../metrics"]) {
        assert_eq!(status(path).await, 401, "{path}");
    }
    let wrong = http::get(&gateway.api("/api/v1/status")).await.unwrap().json();
    assert_eq!(wrong["detail"], "a bearer token or a client certificate is needed");
}

#[tokio::test]
async fn the_search_command_asks_an_encrypted_api_with_a_token() {
    let pki = Pki::new();
    let settings = pki.settings("serve");
    let gateway = Gateway::start_unwaited(&settings.each_ref().map(String::as_str));
    let api = format!("https://127.0.0.1:{}", gateway.ports.api);
    eventually("the API is ready", || async {
        pki.send(&format!("{api}/readyz"), None, Vec::new()).await.filter(|status| *status == 200)
    })
    .await;
    assert_eq!(pki.send(&format!("{api}/api/v1/status"), None, Vec::new()).await, Some(401));
    let token = pki.path("token");
    std::fs::write(&token, "sesame\n").unwrap();

    let search = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hopline"));
        command.args(["search", "", "--api", &api]).args(arguments).output().unwrap()
    };
    let ca = pki.path("ca.pem");
    let found = search(&["--ca-file", &ca, "--token-file", &token]);
    assert_eq!(String::from_utf8_lossy(&found.stdout), "no journey found\n", "{found:?}");
    let denied = search(&["--ca-file", &ca]);
    assert!(String::from_utf8_lossy(&denied.stderr).contains("bearer token"), "{denied:?}");
    assert!(!search(&["--token-file", &token]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_plays_into_encrypted_doors_with_a_token() {
    let pki = Pki::new();
    let gateway = start(&pki, "receive").await;
    let (ca, token, wrong) = (pki.path("ca.pem"), pki.path("token"), pki.path("wrong"));
    std::fs::write(&token, "sesame\n").unwrap();
    std::fs::write(&wrong, "open").unwrap();
    let grpc = format!("https://127.0.0.1:{}", gateway.ports.grpc);
    let http = format!("https://127.0.0.1:{}", gateway.ports.http);
    let demo = |arguments: &[&str]| {
        let doors = ["demo", "--endpoint", &grpc, "--flows", &http];
        let length = ["--rate", "30", "--seconds", "1"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_hopline"));
        let played = command.args(doors).args(length).args(arguments).output().unwrap();
        String::from_utf8([played.stdout, played.stderr].concat()).unwrap()
    };

    let played = demo(&["--ca-file", &ca, "--token-file", &token]);

    assert!(played.contains("\n0 not taken; faults:"), "{played}");
    assert!(!played.contains(", 0 flows\n"), "{played}");
    gateway.found("service:payment").await;
    let denied = demo(&["--ca-file", &ca, "--token-file", &wrong]);
    assert!(denied.contains("\n0 spans, 0 log records, 0 metric points, 0 flows\n"), "{denied}");
    let distrusted = demo(&["--token-file", &token]);
    assert!(distrusted.contains("error: cannot connect to https://"), "{distrusted}");
}

#[tokio::test]
async fn a_door_that_ran_out_of_descriptors_opens_again() {
    let gateway = Gateway::start(&[]).await;
    let limit = |descriptors: &str| {
        let limit = format!("--nofile={descriptors}:");
        let set = Command::new("prlimit").args([&limit, "--pid", &gateway.pid()]).status();
        assert!(set.unwrap().success());
    };
    let open = Path::new("/proc").join(gateway.pid()).join("fd").read_dir().unwrap().count();
    limit(&(open + 10).to_string());
    let mut held = Vec::new();
    for _ in 0..40 {
        let address = ("127.0.0.1", gateway.ports.http);
        held.push(TcpStream::connect(address).await.unwrap());
    }
    eventually("no connection is accepted any more", || async {
        gateway.own_log().contains("connections cannot be accepted").then_some(())
    })
    .await;

    drop(held);
    limit("1024");

    let name = "hopline_door_turned_away_total{door=\"otlp\",reason=\"not_accepted\"}";
    eventually("the door counts what it could not accept", || async {
        let text = http::get(&gateway.api("/metrics")).await?.text;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        (line.trim() != "0").then_some(())
    })
    .await;
    send_traces(&gateway.grpc(), traces("cart", vec![span(0xabc, 1, 0, 2, 1)])).await.unwrap();
    assert_eq!(gateway.found(&format!("id:{:032x}", 0xabc)).await.len(), 1);
}
