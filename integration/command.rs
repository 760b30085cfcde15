//! The program as a person meets it.

use std::process::{Command, Output};

use crate::support::gateway::Gateway;
use crate::support::otlp::{send_traces, span, traces};

fn hopline(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hopline")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
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
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
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

#[test]
fn the_example_files_pass_the_check() {
    for file in ["config/default.yaml", "config/gateway.yaml", "config/sidecar.yaml"] {
        let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
        let checked = hopline(&["check", "--config", &path]);
        assert!(checked.status.success(), "{file}: {}", text(&checked.stderr));
    }
}
