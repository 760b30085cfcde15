//! The doors with certificates, good ones and bad ones.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::Endpoint;

use super::auth::shop;
use super::pki::{Authority, Pki, Shown};
use super::*;

const CART: &str = "spiffe://a.example/ns/shop/sa/cart";

async fn connect(address: SocketAddr, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// The status of one request of HTTP/1.1; the connection stays.
async fn post(stream: &mut TlsStream<TcpStream>, headers: &str) -> io::Result<String> {
    let head = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";
    let sent = format!("{head}{headers}content-length: 1\r\n\r\na");
    stream.write_all(sent.as_bytes()).await?;
    let mut said = vec![0; 12];
    stream.read_exact(&mut said).await?;
    // The rest of this short answer.
    let mut rest = [0; 1024];
    let _read = stream.read(&mut rest).await?;
    Ok(String::from_utf8(said.split_off(9)).unwrap())
}

/// What a client gets that shows this; `None` when it is not even heard.
async fn status(doors: &Doors, config: ClientConfig) -> Option<String> {
    let mut stream = connect(doors.http, config).await.ok()?;
    post(&mut stream, "").await.ok()
}

fn certificate(connection: &ClientConnection) -> Vec<u8> {
    connection.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn a_generated_client_exports_over_tls_with_its_token() {
    let pki = Pki::new();
    let doors = Doors::guarded(shop(), Some(pki.tls())).await;
    let endpoint = Endpoint::new(format!("https://{}", doors.grpc)).unwrap();
    let channel = endpoint.connect_with_connector(pki.connector(None)).await.unwrap();
    let mut client = LogsServiceClient::new(channel);

    let mut request = tonic::Request::new(ExportLogsServiceRequest::default());
    let denied = client.export(ExportLogsServiceRequest::default()).await.unwrap_err();
    request.metadata_mut().insert("authorization", "Bearer sesame".parse().unwrap());
    client.export(request).await.unwrap();

    assert_eq!(denied.code(), tonic::Code::Unauthenticated);
    assert_eq!(doors.tally(Source::OtlpGrpc).requests(), 1);
}

#[tokio::test]
async fn each_door_negotiates_what_it_speaks() {
    let pki = Pki::new();
    let doors = Doors::guarded(Auth::default(), Some(pki.tls())).await;
    let rows = [
        (doors.grpc, &[&b"h2"[..], b"http/1.1"][..], Some(&b"h2"[..])),
        (doors.http, &[b"h2", b"http/1.1"], Some(b"h2")),
        (doors.http, &[b"http/1.1"], Some(b"http/1.1")),
        (doors.http, &[], None),
    ];
    for (address, offered, expected) in rows {
        let mut config = pki.trusting(None);
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        let stream = connect(address, config).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), expected, "{offered:?}");
    }
    let mut config = pki.trusting(None);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    assert!(connect(doors.grpc, config).await.is_err());
    doors.turns_away(1, Away::HandshakeRefused).await;
}

#[tokio::test]
async fn a_certificate_lets_in_as_what_its_one_identity_says() {
    let pki = Pki::new();
    let rules = [format!("cart {CART}"), "shop spiffe://a.example/ns/shop/*".to_owned()];
    let identities = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let auth = Auth { identities, ..Auth::default() };
    let doors = Doors::guarded(auth, Some(pki.mutual_tls())).await;
    let by = |uris: &[&str]| pki.issuer.client(uris);
    let rows = [
        (by(&[CART]), Some("200"), Some("cart")),
        (by(&["spiffe://a.example/ns/shop/sa/till"]), Some("200"), Some("shop")),
        (by(&["spiffe://a.example/ns/bank/sa/till"]), Some("403"), None),
        (by(&["spiffe://b.example/ns/shop/sa/cart"]), Some("403"), None),
        (by(&["spiffe://a.example.evil/ns/shop/sa/cart"]), Some("403"), None),
        (by(&[CART, "spiffe://b.example/x"]), Some("401"), None),
        (by(&[CART, CART]), Some("401"), None),
        (by(&["https://a.example/ns/shop/sa/cart"]), Some("401"), None),
        (by(&[]), Some("401"), None),
        (pki.issuer.expired_client(CART), None, None),
        (pki.issuer.client_for_servers(CART), None, None),
        (Authority::new("own").client(&[CART]), None, None),
    ];
    for (at, (shown, expected, tenant)) in rows.into_iter().enumerate() {
        for version in [&TLS12, &TLS13] {
            let before = doors.got().len();
            let said = status(&doors, pki.speaking(version, Some(&shown))).await;
            assert_eq!(said.as_deref(), expected, "row {at}");
            let got: Vec<_> = doors.got().drain(before..).map(|raw| raw.tenant).collect();
            assert_eq!(got, Vec::from_iter(tenant.map(Tenant::named)), "row {at}");
        }
    }
    assert_eq!(status(&doors, pki.trusting(None)).await, None);
    doors.turns_away(7, Away::Certificate).await;
    assert_eq!(Denied::ALL.map(|it| doors.intake.gate().denied(it)), [8, 0, 6]);
}

#[tokio::test]
async fn with_client_certificates_no_session_is_resumed() {
    let pki = Pki::new();
    let identities = vec![format!("cart {CART}").parse().unwrap()];
    let auth = Auth { identities, ..Auth::default() };
    let doors = Doors::guarded(auth, Some(pki.mutual_tls())).await;
    for version in [&TLS12, &TLS13] {
        let config = pki.speaking(version, Some(&pki.issuer.client(&[CART])));
        for _ in 0..3 {
            let mut stream = connect(doors.http, config.clone()).await.unwrap();
            assert_eq!(post(&mut stream, "").await.unwrap(), "200");
            let kind = stream.get_ref().1.handshake_kind().unwrap();
            assert_eq!(kind, rustls::HandshakeKind::Full);
        }
    }
}

#[tokio::test]
async fn failing_handshakes_are_counted_by_reason_and_end_nothing() {
    let pki = Pki::new();
    let terms = settings().terms();
    let header_timeout = Duration::from_millis(200);
    let oldest = Version::Tls13;
    let tls = Tls::open(Files { oldest, ..pki.files(false) }).unwrap();
    let gate = Gate::new(Terms { header_timeout, ..terms }, Some(tls));
    let doors = Doors::behind(gate, |_| Reply::Accepted, settings()).await;

    let mut silent = TcpStream::connect(doors.grpc).await.unwrap();
    silent.read_to_end(&mut Vec::new()).await.unwrap_or_default();
    let mut plain = TcpStream::connect(doors.http).await.unwrap();
    plain.write_all(b"POST /v1/logs HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    plain.read_to_end(&mut Vec::new()).await.unwrap_or_default();
    let mut gone = TcpStream::connect(doors.http).await.unwrap();
    gone.write_all(&[22, 3, 1, 2]).await.unwrap();
    drop(gone);
    assert!(connect(doors.http, pki.speaking(&TLS12, None)).await.is_err());
    // The client does not trust the door.
    assert!(connect(doors.http, Pki::new().trusting(None)).await.is_err());
    let mut quiet = connect(doors.http, pki.trusting(None)).await.unwrap();
    quiet.read_to_end(&mut Vec::new()).await.unwrap_or_default();

    for away in [Away::HandshakeTimeout, Away::NotTls, Away::HandshakeBroken, Away::Silent] {
        doors.turns_away(1, away).await;
    }
    doors.turns_away(2, Away::HandshakeRefused).await;
    doors.opens(0).await;
    assert_eq!(status(&doors, pki.trusting(None)).await.as_deref(), Some("200"));
}

#[tokio::test]
async fn a_new_certificate_is_used_by_new_connections_and_ends_no_open_one() {
    let pki = Pki::new();
    let tls = pki.tls();
    let doors = Doors::guarded(Auth::default(), Some(tls.clone())).await;
    let mut open = connect(doors.http, pki.trusting(None)).await.unwrap();
    assert_eq!(post(&mut open, "").await.unwrap(), "200");

    let before = certificate(open.get_ref().1);
    assert_eq!(tls.reload(), Look::Same);
    pki.rotate();
    assert_eq!(tls.reload(), Look::Taken);

    let mut new = connect(doors.http, pki.trusting(None)).await.unwrap();
    assert_ne!(certificate(new.get_ref().1), before);
    assert_eq!(post(&mut new, "").await.unwrap(), "200");
    assert_eq!(post(&mut open, "").await.unwrap(), "200");
    assert_eq!(tls.reloads(), (1, 0));
}

#[tokio::test]
async fn a_wrong_new_certificate_leaves_the_old_one_and_is_told_once() {
    let pki = Pki::new();
    let tls = pki.tls();
    let doors = Doors::guarded(Auth::default(), Some(tls.clone())).await;
    let Shown { chain, key } = pki.rotate();
    assert_eq!(tls.reload(), Look::Taken);
    let other = pki.issuer.server();
    let half = chain.split_at(chain.len() / 2).0.to_owned();
    for (file, text) in [
        ("door.key", other.key.as_str()),
        ("door.key", &other.chain),
        ("door.pem", &half),
        ("door.pem", ""),
        ("door.pem", &other.key),
    ] {
        pki.write(file, text);
        assert_eq!((tls.reload(), tls.reload()), (Look::Kept, Look::Same), "{file} {text}");
        let said = status(&doors, pki.trusting(None)).await;
        assert_eq!(said.as_deref(), Some("200"));
    }
    std::fs::remove_file(pki.path("door.pem")).unwrap();
    assert_eq!((tls.reload(), tls.reload()), (Look::Kept, Look::Same));

    pki.write("door.pem", &chain);
    pki.write("door.key", &key);
    assert_eq!((tls.reload(), tls.reloads()), (Look::Taken, (2, 6)));
}

#[tokio::test]
async fn the_files_are_looked_at_by_themselves() {
    let pki = Pki::new();
    let (tls, stop) = (pki.tls(), CancellationToken::new());
    let watching = tokio::spawn(tls.clone().watch(Duration::from_millis(5), stop.clone()));
    pki.rotate();
    while tls.reloads().0 == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.cancel();
    watching.await.unwrap();
}

#[test]
fn what_is_no_certificate_is_refused_with_the_file() {
    let pki = Pki::new();
    let files = pki.files(true);
    let wrong = |files: &Files| Tls::open(files.clone()).unwrap_err().to_string();
    let swapped = Files { cert: files.key.clone(), key: files.cert.clone(), ..files.clone() };
    assert!(wrong(&swapped).ends_with("door.key holds no certificate in PEM"));
    let keyless = Files { key: files.cert.clone(), ..files.clone() };
    assert!(wrong(&keyless).ends_with("door.pem holds no private key in PEM"));
    let gone = Files { client_ca: Some(pki.path("none.pem")), ..files };
    assert!(wrong(&gone).ends_with("none.pem"), "{}", wrong(&gone));
}

#[test]
fn the_end_of_the_certificate_is_known() {
    // What `rcgen` gives when nothing is said: the first of January 4096.
    assert_eq!(Pki::new().tls().not_after(), 67_090_118_400);
}
