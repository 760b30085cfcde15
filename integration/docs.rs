//! The pages that repeat what the code says are held against it.
//!
//! `UPDATE_DOCS=1 cargo test --test integration docs::` writes them anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::support::gateway::Gateway;
use crate::support::http;
use crate::support::sink::Sink;

const SETTINGS: &str = "\
# Configuration

Made from the comments of `config/default.yaml`, which is the default: a key that is not there does
not exist. Files are merged in order, then the environment (`HOPLINE__LOG__KEEP` is `log.keep`), then
`--set log.keep=12h`. In files, `${env:NAME}` and `${env:NAME:-default}` stand for a variable.
`hopline check` prints what is in effect and where each value came from.

";

const METRICS: &str = "\
# Metrics

Made from what a running gateway answers at `/metrics`, one line a family.

| metric | kind | what |
|---|---|---|
";

#[test]
fn every_setting_is_documented_as_the_default_file_has_it() {
    let defaults = std::fs::read_to_string(root().join("config/default.yaml")).unwrap();
    compare("docs/configuration.md", &settings_page(&defaults));
}

#[tokio::test]
async fn every_metric_is_documented_as_the_gateway_describes_it() {
    let sink = Sink::start().await;
    let export = format!("export.otlp.sink.endpoint={}", sink.endpoint);
    let gateway = Gateway::start(&[&export]).await;
    let metrics = http::get(&gateway.api("/metrics")).await.unwrap().text;
    compare("docs/metrics.md", &metrics_page(&metrics));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn compare(page: &str, want: &str) {
    let path = root().join(page);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, want).unwrap();
    }
    let got = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(got == want, "{page} is not what the code says; run with UPDATE_DOCS=1 and read it");
}

fn metrics_page(text: &str) -> String {
    let mut page = METRICS.to_owned();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|it| it.split_once(' '))
        else {
            continue;
        };
        let kind = lines.peek().and_then(|it| it.rsplit(' ').next()).unwrap_or_default();
        writeln!(page, "| `{name}` | {kind} | {help} |").unwrap();
    }
    page
}

/// One table for each key of the first level; the comments above a key say what it does.
fn settings_page(defaults: &str) -> String {
    let mut page = SETTINGS.to_owned();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut comments: Vec<&str> = Vec::new();
    let mut rows: Vec<[String; 3]> = Vec::new();
    for line in defaults.lines() {
        let (indent, text) = (line.len() - line.trim_start().len(), line.trim());
        if let Some(comment) = text.strip_prefix('#') {
            comments.push(comment.trim());
        } else if let Some(item) = text.strip_prefix("- ") {
            let value = &mut rows.last_mut().unwrap()[1];
            let before = if value.is_empty() { "" } else { ", " };
            write!(value, "{before}{item}").unwrap();
        } else if let Some((key, value)) = text.split_once(':') {
            path.retain(|(outer, _)| *outer < indent);
            path.push((indent, key.to_owned()));
            let full: Vec<_> = path.iter().map(|(_, key)| key.as_str()).collect();
            let value = value.trim().to_owned();
            let what = std::mem::take(&mut comments).join(" ");
            if !value.is_empty() || what.contains("Range:") {
                rows.push([full.join("."), value, what]);
            }
        } else {
            comments.clear();
        }
    }
    let mut section = String::new();
    for [key, value, what] in &rows {
        let first = key.split('.').next().unwrap();
        if first != section {
            first.clone_into(&mut section);
            write!(page, "\n## {first}\n\n| key | default | what |\n|---|---|---|\n").unwrap();
        }
        let escape = |text: &str| text.replace('|', "\\|");
        writeln!(page, "| `{key}` | `{}` | {} |", escape(value), escape(what)).unwrap();
    }
    page.replace("\n\n\n", "\n\n")
}
