//! The real OpenTelemetry SDKs: one request across three services, told in every protocol.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::gateway::Gateway;
use crate::support::http;
use crate::support::sink::Sink;

const WORD: &str = "zebrafinch";
const SECRET: &str = "Sup3rS3cretValue";

#[tokio::test]
async fn the_python_sdk_over_grpc_is_joined_found_forwarded_and_redacted() {
    let script = ["integration/sdk/shop.py", "--protocol", "grpc"];
    tell(".local/venv/bin/python", &script, Gateway::grpc).await;
}

#[tokio::test]
async fn the_python_sdk_over_http_is_joined_found_forwarded_and_redacted() {
    let script = ["integration/sdk/shop.py", "--protocol", "http/protobuf"];
    tell(".local/venv/bin/python", &script, |gateway| gateway.otlp_http("")).await;
}

#[tokio::test]
async fn the_node_sdk_over_json_is_joined_found_forwarded_and_redacted() {
    tell("node", &["integration/sdk/shop.mjs"], |gateway| gateway.otlp_http("")).await;
}

async fn tell(program: &str, script: &[&str], endpoint: fn(&Gateway) -> String) {
    let sink = Sink::start().await;
    let export = format!("export.otlp.sink.endpoint={}", sink.endpoint);
    let gateway = Gateway::start(&[&export]).await;

    let told = run(program, script, &endpoint(&gateway));

    let trace = told["trace_id"].as_str().unwrap().to_owned();
    let (spans, logs) = (told["spans"].as_u64().unwrap(), told["logs"].as_u64().unwrap());
    let hits = gateway.found(WORD).await;
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0]["id"], trace);
    assert_eq!(hits[0]["services"].as_array().unwrap().len(), 3, "{}", hits[0]["services"]);

    let status = gateway.settled().await;
    assert_eq!(status["exports"][0]["up"], true);
    let journey = gateway.get(&format!("/api/v1/journeys/{trace}")).await;
    let kinds: Vec<_> = list(&journey["evidence_list"]).iter().map(|it| &it["kind"]).collect();
    let logs_seen = kinds.iter().filter(|kind| **kind == "log").count() as u64;
    let spans_seen = kinds.iter().filter(|kind| **kind != "log" && **kind != "exemplar").count();
    assert_eq!((spans_seen as u64, logs_seen), (spans, logs), "{kinds:?}");
    assert!(list(&journey["hops"]).len() >= 2, "{}", journey["hops"]);
    in_order_of_time(list(&journey["evidence_list"]));

    let at_sink = sink.spans().iter().filter(|it| hex(&it.trace_id) == trace).count() as u64;
    assert_eq!((at_sink, sink.logs().len() as u64), (spans, logs));

    let metrics = http::get(&gateway.api("/metrics")).await.unwrap().text;
    assert!(metrics.contains("hopline_hop_duration_seconds_bucket"), "{metrics}");
    let mut seen = vec![("sink", sink.text()), ("metrics", metrics)];
    seen.push(("journey", journey.to_string()));
    let (folder, own_log) = gateway.stop();
    seen.push(("own log", own_log));
    for (place, text) in seen {
        assert!(!text.contains(SECRET), "the secret is in the {place}");
    }
    assert_nowhere(&folder.path().join("data"), SECRET.as_bytes());
}

fn run(program: &str, script: &[&str], endpoint: &str) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = if program.contains('/') { root.join(program) } else { PathBuf::from(program) };
    assert!(
        !program.is_absolute() || program.exists(),
        "{} is missing: integration/setup.sh installs it, and `make test` runs that",
        program.display()
    );
    let output = Command::new(program)
        .args(script)
        .args(["--endpoint", endpoint, "--word", WORD, "--secret", SECRET])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn in_order_of_time(evidence: &[Value]) {
    let time = |it: &Value| {
        let message = &it["message"];
        let times = ["start_ns", "time_ns", "observed_time_ns"];
        times.iter().find_map(|name| message[*name].as_u64()).unwrap()
    };
    let times: Vec<_> = evidence.iter().map(time).collect();
    assert!(times.is_sorted(), "{times:?}");
}

/// Reads every file below a folder.
fn assert_nowhere(folder: &Path, secret: &[u8]) {
    let mut files = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "the secret is in {}", path.display());
        }
    }
    assert!(files > 5, "there was something to look at");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
