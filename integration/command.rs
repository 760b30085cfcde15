//! The program as a person meets it.

use std::net::TcpListener;
use std::process::{Command, Output};

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use crate::support::gateway::Gateway;
use crate::support::otlp::{send_traces, span, traces};
use crate::support::{dead_address, eventually};

fn hopline(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hopline")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Why it ended: the last line, behind its own log.
fn text_of_error(ended: &Output) -> String {
    text(&ended.stderr).lines().last().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_plays_the_demo_and_finds_its_requests() {
    let gateway = Gateway::start(&[]).await;
    let (grpc, http, api) = (gateway.grpc(), gateway.otlp_http(""), gateway.api(""));

    let arguments =
        ["demo", "--endpoint", &grpc, "--rate", "30", "--seconds", "3", "--flows", &http];
    let played = hopline(&arguments);

    assert!(played.status.success(), "{}", text(&played.stderr));
    assert!(
        text(&played.stdout).contains(" 0 not taken")
            || text(&played.stdout).contains("0 not taken")
    );
    gateway.found("service:payment").await;
    let found = hopline(&["search", "service:payment outcome:success", "--api", &api]);
    let table = text(&found.stdout);
    assert!(table.contains("POST /checkout"), "{table}{}", text(&found.stderr));
    let json = hopline(&["search", "", "--limit", "1", "--json", "--api", &api]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["hits"].as_array().unwrap().len(), 1);
    let status = gateway.settled().await;
    assert_eq!(status["symbols"]["overflowed"], 0);
}

#[tokio::test]
async fn a_wrong_query_is_explained_under_the_place() {
    let gateway = Gateway::start(&[]).await;
    let found = hopline(&["search", "card AND statsu:500", "--api", &gateway.api("")]);
    assert!(!found.status.success());
    let said = text(&found.stderr);
    assert!(said.contains("\n           ^") && said.contains("status"), "{said}");
}

#[test]
fn a_gateway_that_is_not_there_is_named() {
    let found = hopline(&["search", "word", "--api", "http://127.0.0.1:1"]);
    assert!(!found.status.success());
    assert!(text(&found.stderr).contains("no gateway answers at http://127.0.0.1:1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_well_says_so_and_where_everything_is() {
    let gateway = Gateway::start(&[]).await;
    let request = traces("cart", vec![span(7, 1, 0, 2, 1), span(7, 2, 1, 3, 1)]);
    send_traces(&gateway.grpc(), request).await.unwrap();
    gateway.settled().await;

    let shown = hopline(&["status", "--api", &gateway.api("")]);

    let report = text(&shown.stdout);
    assert_eq!(shown.status.code(), Some(0), "{report}{}", text(&shown.stderr));
    assert!(report.contains("\nNothing is wrong.\n"), "{report}");
    assert!(report.contains("\n  otlp_grpc                   1          0"), "{report}");
    let json = hopline(&["status", "--json", "--api", &gateway.api("/")]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["sources"][0]["items"], &json["ready"]), (&2.into(), &true.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_log_is_full_needs_a_person_and_says_who_holds_it() {
    let dead = dead_address();
    let dead = format!("export.otlp.dead.endpoint=http://{dead}");
    let sizes = ["log.bytes_max=4MiB", "log.segment_bytes=1MiB"];
    let gateway = Gateway::start(&[&dead, sizes[0], sizes[1]]).await;
    let request = || traces("cart", (1..=500).map(|id| span(9, id, 0, 3, 1)).collect());
    while send_traces(&gateway.grpc(), request()).await.is_ok() {}

    let shown = hopline(&["status", "--api", &gateway.api("")]);

    let report = text(&shown.stdout);
    assert_eq!(shown.status.code(), Some(2), "{report}");
    let wrong = report.lines().nth(3).unwrap_or_default();
    assert!(wrong.contains("% full: held by ") && wrong.contains("export/dead"), "{report}");
}

#[test]
fn a_gateway_that_cannot_be_asked_is_neither_well_nor_ill() {
    let shown = hopline(&["status", "--api", "http://127.0.0.1:1"]);
    assert_eq!(shown.status.code(), Some(1));
}

#[test]
fn a_wrong_line_does_not_say_that_a_gateway_needs_a_person() {
    assert_eq!(hopline(&["status", "--jsn"]).status.code(), Some(1));
    assert_eq!(hopline(&["status", "--help"]).status.code(), Some(0));
}

#[test]
fn without_a_terminal_there_is_no_top_but_a_status() {
    let shown = hopline(&["top"]);
    assert_eq!(shown.status.code(), Some(1));
    assert!(text(&shown.stderr).contains("no terminal; `hopline status`"));
}

#[test]
fn an_unknown_setting_is_refused_with_a_suggestion() {
    let checked = hopline(&["check", "--set", "join.shard=3"]);
    assert!(!checked.status.success());
    assert!(text(&checked.stderr).contains("join.shards"), "{}", text(&checked.stderr));
}

/// A folder with a certificate, its key, another key, a file that is none of these, and a key of
/// pseudonyms that is too short.
fn files() -> (TempDir, impl Fn(&str) -> String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let path = move |name: &str| path.join(name).display().to_string();
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let cert = params.self_signed(&key).unwrap().pem();
    let contents = [("cert", cert), ("key", key.serialize_pem()), ("other", other.serialize_pem())];
    let texts = [("text", "hello".to_owned()), ("pseudonym.key", "short".to_owned())];
    for (name, text) in contents.into_iter().chain(texts) {
        std::fs::write(path(name), text).unwrap();
    }
    (folder, path)
}

#[test]
fn a_file_that_cannot_be_used_is_named_by_a_check_as_by_a_start() {
    let (_folder, path) = files();
    let token = format!("shop sha256:{}", "0".repeat(64));
    let door = |group: &str, cert: &str, key: &str, ca: &str| {
        let file = |name: &str, to: &str| format!("{group}.tls.{name}_file={}", path(to));
        let mut sets = vec![file("cert", cert), file("key", key)];
        sets.extend((!ca.is_empty()).then(|| file("client_ca", ca)));
        sets.push(format!("{group}.auth.tokens={token}"));
        sets
    };
    let pseudonyms = vec!["redact.action=pseudonym".to_owned(), format!("data_dir={}", path(""))];
    let (cert, text, none) = (path("cert"), path("text"), path("none"));
    let missing = format!("cannot read {none}: No such file or directory (os error 2)");
    let rows = [
        (door("receive", "none", "key", ""), missing.clone()),
        (door("serve", "cert", "none", ""), missing.clone()),
        (door("receive", "cert", "key", "none"), missing),
        (door("receive", "text", "key", ""), format!("{text} holds no certificate in PEM")),
        (door("serve", "cert", "text", ""), format!("{text} holds no private key in PEM")),
        (door("serve", "cert", "key", "text"), format!("{text} holds no certificate in PEM")),
        (
            door("receive", "cert", "other", ""),
            format!("{} is not the key of the certificate in {cert}", path("other")),
        ),
        (pseudonyms, format!("the key of the pseudonyms in {}: ", path(""))),
    ];
    let data = tempfile::tempdir().unwrap();
    let listen = ["receive.otlp.grpc", "receive.otlp.http", "serve"];
    let listen = listen.map(|key| format!("{key}.listen=127.0.0.1:0"));
    for (own, expected) in rows {
        let mut sets = vec![format!("data_dir={}", data.path().display())];
        sets.extend(listen.iter().chain(&own).cloned());
        let arguments: Vec<_> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let said = ["check", "run"].map(|command| {
            let ended = hopline(&[&[command], &arguments[..]].concat());
            assert_eq!(ended.status.code(), Some(1), "{command} {own:?}");
            text_of_error(&ended)
        });
        assert_eq!(said[0], said[1]);
        assert!(said[0].contains(&expected), "{}, not {expected}", said[0]);
    }
    assert_eq!(data.path().read_dir().unwrap().count(), 0, "nothing was made");
}

#[test]
fn a_file_of_a_destination_and_one_to_follow_are_looked_at_by_a_check() {
    let (folder, path) = files();
    let to = |sets: &[(&str, &str)]| {
        let own = sets.iter().map(|(key, file)| format!("export.otlp.tempo.{key}={}", path(file)));
        let endpoint = "export.otlp.tempo.endpoint=https://tempo:4317".to_owned();
        own.chain([endpoint]).collect::<Vec<_>>()
    };
    let follow = |name: &str| vec![format!("receive.flows.follow={}", path(name))];
    let rows = [
        (to(&[("ca_file", "cert"), ("cert_file", "cert"), ("key_file", "key")]), String::new()),
        (follow("text"), String::new()),
        (follow("none"), String::new()),
        (follow(""), format!("cannot follow the file {}: is a directory", path(""))),
        (to(&[("ca_file", "none")]), format!("destination tempo: cannot use {}: ", path("none"))),
        (
            to(&[("ca_file", "text")]),
            format!("destination tempo: cannot use {}: there is no certificate", path("text")),
        ),
        (
            to(&[("ca_file", "cert"), ("cert_file", "cert"), ("key_file", "other")]),
            format!("{} is not the key of the certificate in {}", path("other"), path("cert")),
        ),
    ];
    let data = format!("data_dir={}", folder.path().join("data").display());
    for (own, expected) in rows {
        let sets = own.iter().chain([&data]).flat_map(|set| ["--set", set]);
        let checked = hopline(&["check"].into_iter().chain(sets).collect::<Vec<_>>());
        let said = text(&checked.stderr);
        assert_eq!(checked.status.success(), expected.is_empty(), "{own:?} {said}");
        assert!(said.contains(&expected), "{said}, not {expected}");
        let tried_again = "a start would go on without this file, and try it again: ";
        assert_eq!(said.contains(tried_again), !expected.is_empty(), "{said}");
    }
}

#[tokio::test]
async fn a_start_goes_on_without_the_files_that_only_a_check_refuses() {
    let (_folder, path) = files();
    let tempo = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("export.otlp.tempo.endpoint=https://{}", tempo.local_addr().unwrap());
    let ca = format!("export.otlp.tempo.ca_file={}", path("none"));
    let follow = format!("receive.flows.follow={}", path(""));
    let gateway = Gateway::start(&[&endpoint, &ca, &follow]).await;
    let request = traces("shop", vec![span(1, 1, 0, 2, 1)]);
    send_traces(&gateway.grpc(), request).await.unwrap();

    let said = eventually("the destination is tried", || async {
        let status = gateway.get("/api/v1/status").await;
        status["exports"][0]["last_error"].as_str().map(str::to_owned)
    })
    .await;
    assert!(said.contains(&format!("cannot use {}", path("none"))), "{said}");
}

#[test]
fn the_example_files_pass_the_check() {
    for file in ["config/default.yaml", "config/gateway.yaml", "config/sidecar.yaml"] {
        let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
        let checked = hopline(&["check", "--config", &path]);
        assert!(checked.status.success(), "{file}: {}", text(&checked.stderr));
    }
}
