//! What comes in broken is answered as OTLP asks for, and harms nothing else.

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;

use crate::support::gateway::Gateway;
use crate::support::otlp::{logs, send_logs, span, text, traces};
use crate::support::sink::Sink;
use crate::support::{eventually, http};

#[tokio::test]
async fn a_malformed_request_is_refused_for_good_and_harms_nothing_else() {
    let gateway = Gateway::start(&[]).await;
    let url = gateway.otlp_http("/v1/traces");
    let good = traces("cart", vec![span(0xabc, 1, 0, 2, 1)]).encode_to_vec();
    let mut broken = good.clone();
    broken.truncate(good.len() - 3);

    for (body, kind, status) in [
        (broken, "application/x-protobuf", 400),
        (b"{\"resourceSpans\": 7}".to_vec(), "application/json", 400),
        (good.clone(), "text/plain", 415),
        (good, "application/x-protobuf; charset=binary", 200),
    ] {
        let answer = http::post(&url, kind, body).await.unwrap();
        assert_eq!(answer.status, status, "{kind}: {}", answer.text);
    }

    assert_eq!(gateway.found(&format!("id:{:032x}", 0xabc)).await.len(), 1);
    let status = gateway.settled().await;
    assert_eq!(status["ledger"]["signals"][0]["admitted"], 1);
}

#[tokio::test]
async fn a_request_that_is_empty_or_off_the_path_is_answered() {
    let gateway = Gateway::start(&[]).await;
    let kind = "application/x-protobuf";
    let empty = http::post(&gateway.otlp_http("/v1/logs"), kind, Vec::new()).await.unwrap();
    let nowhere = http::post(&gateway.otlp_http("/v1/nothing"), kind, Vec::new()).await.unwrap();
    let read = http::get(&gateway.otlp_http("/v1/traces")).await.unwrap();
    assert_eq!((empty.status, nowhere.status, read.status), (200, 404, 405));
}

#[tokio::test]
async fn what_needs_no_redaction_leaves_as_it_came() {
    let sink = Sink::start().await;
    let export = format!("export.otlp.sink.endpoint={}", sink.endpoint);
    let gateway = Gateway::start(&[&export]).await;
    let request = traces("cart", vec![span(0x1, 1, 0, 2, 1), span(0x1, 2, 1, 3, 1)]);
    let kind = "application/x-protobuf";
    let url = gateway.otlp_http("/v1/traces");

    http::post(&url, kind, request.encode_to_vec()).await.unwrap();

    gateway.settled().await;
    assert_eq!(sink.traces(), [request]);
}

#[tokio::test]
async fn a_log_record_without_any_key_is_found_all_the_same() {
    let gateway = Gateway::start(&[]).await;
    let record = LogRecord { body: text("the quick brown ocelot"), ..LogRecord::default() };

    send_logs(&gateway.grpc(), logs("cron", vec![record])).await.unwrap();

    let hits = gateway.found("\"brown ocelot\"").await;
    assert_eq!(hits[0]["services"][0], "cron");
    gateway.settled().await;
}

#[tokio::test]
async fn the_api_explains_what_is_wrong() {
    let gateway = Gateway::start(&[]).await;
    let wrong = http::get(&gateway.api("/api/v1/search?q=statsu:500")).await.unwrap();
    let unknown = http::get(&gateway.api("/api/v1/journeys/nothing")).await.unwrap();
    let parameter = http::get(&gateway.api("/api/v1/search?query=a")).await.unwrap();
    let nowhere = http::get(&gateway.api("/api/v2")).await.unwrap();

    let statuses = [&wrong, &unknown, &parameter, &nowhere].map(|answer| answer.status);
    assert_eq!(statuses, [400, 404, 400, 404]);
    let problem = wrong.json();
    assert!(problem["hint"].as_str().unwrap().contains("status"), "{problem}");
    assert_eq!(problem["at"], 0);
}

#[tokio::test]
async fn a_followed_file_of_flows_is_read_as_it_grows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flows.json");
    std::fs::write(&path, line(40_000)).unwrap();
    let gateway = Gateway::start(&[&format!("receive.flows.follow=[{}]", path.display())]).await;
    gateway.found("detail:POLICY_DENIED").await;

    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    std::io::Write::write_all(&mut file, line(40_001).as_bytes()).unwrap();

    eventually("both flows are found", || async {
        let answer = gateway.get("/api/v1/search?q=kind:flow%20outcome:dropped").await;
        (answer["hits"].as_array()?.len() == 2).then_some(())
    })
    .await;
    gateway.settled().await;
}

fn line(port: u16) -> String {
    let ip = r#""IP":{"source":"10.0.0.1","destination":"10.0.0.2"}"#;
    let l4 = format!(r#""l4":{{"TCP":{{"source_port":{port},"destination_port":80}}}}"#);
    let verdict = r#""verdict":"DROPPED","drop_reason_desc":"POLICY_DENIED""#;
    format!("{{\"flow\":{{\"time\":\"2026-11-21T00:00:00Z\",{verdict},{ip},{l4}}}}}\n")
}
