use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::leaf::Leaf;
use super::raw::{Entry, Raw};
use super::*;
use crate::evidence::Signal;
use crate::export::{Compression, Protocol};

const DEFAULT: &str = include_str!("../../config/default.yaml");
const TEMPO: &str = "export.otlp.tempo.endpoint=http://tempo:4317";

fn set(texts: &[&str]) -> Sources {
    Sources { sets: texts.iter().map(|&text| text.to_owned()).collect(), ..Sources::default() }
}

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|&(name, value)| (name.into(), value.into())).collect()
}

/// A settings file, kept as long as the folder is.
fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// What one file and nothing else is refused with.
fn refusal_of_file(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let files = vec![file(&folder, "own.yaml", text)];
    let error = load(&Sources { files, ..Sources::default() }).unwrap_err();
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}

fn refusal(texts: &[&str]) -> String {
    load(&set(texts)).unwrap_err().to_string()
}

fn value_of(sources: &Sources, key: &str) -> (String, String) {
    let all = explain(sources).unwrap();
    let found = all.into_iter().find(|line| line.key == key).unwrap();
    (found.value, found.origin.to_string())
}

fn defaults() -> Vec<Effective> {
    explain(&Sources::default()).unwrap()
}

/// Each key is given nothing, which no key takes; the refusal says what the key expects.
fn refusal_of_nothing(key: &str) -> Error {
    let mut raw = Raw::gather(&Sources::default()).unwrap();
    raw.insert(key, Entry { leaf: Leaf::Nothing, origin: Origin::Set });
    build::build(&raw).unwrap_err()
}

#[test]
fn the_default_file_is_accepted_and_is_the_default() {
    let settings = load(&Sources::default()).unwrap();

    let grpc = settings.receive.grpc.unwrap().to_string();
    assert_eq!((grpc.as_str(), settings.join.quiet), ("127.0.0.1:4317", Duration::from_secs(2)));
}

#[test]
fn every_key_of_the_default_file_is_read_by_the_code() {
    for line in defaults() {
        let Error::Value { key, .. } = refusal_of_nothing(&line.key) else {
            panic!("{} is not read", line.key);
        };
        assert_eq!(key, line.key);
    }
}

#[test]
fn a_key_that_the_default_file_lacks_has_no_default_elsewhere() {
    for line in defaults() {
        let mut raw = Raw::gather(&Sources::default()).unwrap();
        raw.remove(&line.key);
        let error = build::build(&raw).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is missing", line.key));
    }
}

#[test]
fn the_comment_above_each_key_says_the_range_that_the_code_enforces() {
    for line in defaults() {
        let Error::Value { expected, .. } = refusal_of_nothing(&line.key) else {
            panic!("{} is not read", line.key);
        };
        let comment = comment_above(&line.key);
        let says_range = comment.contains(&format!("# Range: {expected}. Who: "));
        assert!(says_range, "{}: {expected}: {comment:?}", line.key);
    }
}

/// The comment lines above a key, found by walking down its groups.
fn comment_above(key: &str) -> String {
    let mut lines = DEFAULT.lines();
    let mut comment = Vec::new();
    for (depth, name) in key.split('.').enumerate() {
        let start = format!("{}{name}:", "  ".repeat(depth));
        comment.clear();
        for line in lines.by_ref().take_while(|line| !line.starts_with(&start)) {
            if line.trim_start().starts_with('#') {
                comment.push(line);
            } else {
                comment.clear();
            }
        }
    }
    comment.join("\n")
}

#[test]
fn a_later_source_goes_over_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let first = "log: {keep: 1h, ack: memory, tail_bytes: 1MiB, queue_bytes_max: 1MiB}";
    let second = "log: {keep: 2h, ack: wal, tail_bytes: 2MiB}";
    let sources = Sources {
        files: vec![file(&folder, "1.yaml", first), file(&folder, "2.yaml", second)],
        environment: environment(&[("HOPLINE__LOG__KEEP", "3h"), ("HOPLINE__LOG__ACK", "memory")]),
        sets: vec!["log.keep=4h".to_owned()],
    };

    let found = ["keep", "ack", "tail_bytes", "queue_bytes_max", "bytes_max"]
        .map(|key| value_of(&sources, &format!("log.{key}")));

    let at = |name: &str| folder.path().join(name).display().to_string();
    let expected = [
        ("4h", "--set".to_owned()),
        ("memory", "environment HOPLINE__LOG__ACK".to_owned()),
        ("2MiB", at("2.yaml")),
        ("1MiB", at("1.yaml")),
        ("8GiB", "default".to_owned()),
    ];
    assert_eq!(found, expected.map(|(value, origin)| (value.to_owned(), origin)));
}

#[test]
fn the_environment_gives_lists_numbers_and_flags_as_text() {
    let variables = [
        ("HOPLINE__REDACT__KEEP_KEYS", "[a.token, b.token]"),
        ("HOPLINE__RECEIVE__FLOWS__FOLLOW", "/var/a.log,/var/b.log"),
        ("HOPLINE__JOIN__SHARDS", "3"),
        ("HOPLINE__INDEX__ENABLED", "false"),
        ("HOPLINE_OTHER", "is not ours"),
    ];
    let sources = Sources { environment: environment(&variables), ..Sources::default() };

    let settings = load(&sources).unwrap();

    assert_eq!(settings.redact.keep_keys, ["a.token", "b.token"]);
    assert_eq!(settings.receive.follow, ["/var/a.log", "/var/b.log"].map(PathBuf::from));
    assert_eq!((settings.join.shards, settings.index.enabled), (3, false));
}

#[test]
fn a_variable_in_a_file_is_put_in_after_parsing() {
    let folder = tempfile::tempdir().unwrap();
    let text = "redact: {mask: '${env:MASK}', keep_keys: ['${env:KEY:-none}', 'a$$b']}\n\
                join: {shards: '${env:SHARDS}'}";
    let hostile = "x]}, index: {enabled: false";
    let sources = Sources {
        files: vec![file(&folder, "own.yaml", text)],
        environment: environment(&[("MASK", "[gone]"), ("KEY", hostile), ("SHARDS", "7")]),
        sets: Vec::new(),
    };

    let settings = load(&sources).unwrap();

    assert_eq!((settings.redact.mask.as_str(), settings.join.shards), ("[gone]", 7));
    assert_eq!(settings.redact.keep_keys, [hostile, "a$b"]);
    assert!(settings.index.enabled);
}

#[test]
fn only_files_are_substituted() {
    let key = |text: &str| load(&set(&[text])).unwrap().redact.key.expose().to_owned();

    assert_eq!(key("redact.key=a$$b${env:HOME}"), "a$$b${env:HOME}");
}

#[test]
fn a_destination_has_what_it_says_and_the_defaults_for_the_rest() {
    let sources = set(&[
        TEMPO,
        "export.otlp.tempo.timeout=5s",
        "export.otlp.tempo.headers.X-Scope-OrgID=shop",
        "export.defaults.concurrency=2",
    ]);

    let [tempo] = load(&sources).unwrap().export.try_into().unwrap();

    let expected = Destination {
        name: "tempo".to_owned(),
        protocol: Protocol::Grpc,
        endpoint: "http://tempo:4317".to_owned(),
        endpoints: Vec::new(),
        signals: Signal::ALL.to_vec(),
        compression: Compression::Zstd,
        compression_level: 1,
        timeout: Duration::from_secs(5),
        concurrency: 2,
        batch_bytes_max: 4 << 20,
        batch_wait: Duration::from_millis(200),
        when_full: WhenFull::Hold,
        backlog_max: 4 << 30,
        tls: ClientTls::default(),
        proxy: None,
        proxy_auth: Secret::default(),
        headers: vec![Header {
            name: "x-scope-orgid".to_owned(),
            value: Secret::new("shop".to_owned()),
        }],
    };
    assert_eq!(tempo, expected);
}

#[test]
fn a_refusal_names_the_key_the_range_the_value_and_the_source() {
    let cases = [
        ("join.quiet=2", "join.quiet must be 10ms to 10m, not 2 (--set)"),
        ("join.shards=0", "join.shards must be 1 to 256, not 0 (--set)"),
        ("join.shards=1.5", "join.shards must be 1 to 256, not 1.5 (--set)"),
        ("log.ack=disk", "log.ack must be wal or memory or e2e, not disk (--set)"),
        ("log.tail_bytes=1PB", "log.tail_bytes must be 0B to 16GiB, not 1PB (--set)"),
        ("index.enabled=yes", "index.enabled must be true or false, not yes (--set)"),
        ("data_dir=", "data_dir must be text of at most 4096 bytes, not \"\" (--set)"),
        (
            "serve.listen=localhost:1",
            "serve.listen must be an address such as 127.0.0.1:4317, not localhost:1 (--set)",
        ),
        (
            "export.otlp.Tempo.endpoint=http://tempo:4317",
            "a name under export.otlp must be 1 to 64 of a-z, 0-9, - and _, not \"Tempo\" (--set)",
        ),
        ("export.otlp.a.timeout=1s", "export.otlp.a.endpoint is missing"),
    ];

    for (text, expected) in cases {
        assert_eq!(refusal(&[text]), expected);
    }
}

#[test]
fn a_value_of_the_wrong_type_in_a_file_is_refused() {
    let cases = [
        ("join: {shards: [1]}", "join.shards must be 1 to 256, not [1] (own.yaml)"),
        ("join: {shards: }", "join.shards must be 1 to 256, not nothing (own.yaml)"),
        ("join: 5", "join is a group of keys and has no value of its own (own.yaml)"),
        ("join: {quiet: {ms: 5}}", "join.quiet has a value and no keys below it (own.yaml)"),
        (
            "redact: {mask: 007}",
            "redact.mask must be 1 to 64 letters, digits or *_-[]. in quotes, not 7 (own.yaml)",
        ),
        (
            "redact: {keys: [[a]]}",
            "redact.keys must be a list of at most 4096 texts, not [[a]] (own.yaml)",
        ),
        ("export: {otlp: {tempo: }}", "export.otlp.tempo.endpoint is missing"),
        (
            "export: {otlp: {tempo: 'http://tempo'}}",
            "export.otlp.tempo is a group of keys and has no value of its own (own.yaml)",
        ),
    ];

    for (text, expected) in cases {
        assert_eq!(refusal_of_file(text), expected);
    }
}

#[test]
fn a_rule_that_is_none_is_refused_where_it_stops_being_one() {
    let want = "edit: rule 2 has `spam` at character 5, where resource, scope, span, event, link, \
                log or point is expected: set spam b = 1 (own.yaml)";
    assert_eq!(refusal_of_file("edit: [remove span a, set spam b = 1]"), want);
    let many = format!("edit=[{}]", "remove log a, ".repeat(257));
    assert!(refusal(&[&many]).starts_with("edit must be a list of at most 256 rules, not "));
}

#[test]
fn what_edits_may_add_counts_as_memory() {
    let bounds = |texts: &[&str]| load(&set(texts)).unwrap().memory().len();
    assert_eq!(bounds(&["edit=remove span a"]), bounds(&[]) + 1);
}

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
    let cases = [
        ("join.quite=2s", "there is no key join.quite (--set), did you mean join.quiet?"),
        (
            "grpc.listen=off",
            "there is no key grpc.listen (--set), did you mean receive.otlp.grpc.listen?",
        ),
        ("weather=fine", "there is no key weather (--set)"),
        (
            "export.otlp.a.endpiont=http://a",
            "there is no key export.otlp.a.endpiont (--set), did you mean export.otlp.a.endpoint?",
        ),
        ("=5", "there is no key  (--set)"),
    ];

    for (text, expected) in cases {
        assert_eq!(refusal(&[text]), expected);
    }
}

#[test]
fn an_unknown_key_is_refused_in_the_environment_and_in_an_empty_group() {
    let sources = Sources {
        environment: environment(&[("HOPLINE__JOIN__QUITE", "2s")]),
        ..Sources::default()
    };

    let expected =
        "there is no key join.quite (environment HOPLINE__JOIN__QUITE), did you mean join.quiet?";
    assert_eq!(load(&sources).unwrap_err().to_string(), expected);
    let expected = "there is no key jion (own.yaml)";
    assert_eq!(refusal_of_file("jion: {}"), expected);
}

#[test]
fn a_file_that_is_no_table_is_refused() {
    let expected = "own.yaml is not a table of settings in YAML";
    for text in ["- a", "5", "a: [", "a: 1\n---\nb: 2", "join: {shards: 1, shards: 2}"] {
        assert_eq!(refusal_of_file(text), expected, "{text}");
    }
}

#[test]
fn a_key_that_one_file_gives_in_two_ways_is_refused() {
    let refusal = refusal_of_file("log: {keep: 1h}\nlog.keep: 2h");

    assert_eq!(refusal, "log.keep is given twice (own.yaml)");
}

#[test]
fn a_file_of_comments_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let files = vec![file(&folder, "own.yaml", "# nothing yet\n\n")];

    let settings = load(&Sources { files, ..Sources::default() }).unwrap();

    assert_eq!(settings, load(&Sources::default()).unwrap());
}

#[test]
fn a_file_far_larger_than_settings_is_refused() {
    let text = "#".repeat((1 << 20) + 1);

    assert_eq!(
        refusal_of_file(&text),
        "own.yaml is larger than 1048576 bytes, which no settings are"
    );
}

#[test]
fn a_file_that_explodes_when_it_is_read_is_refused() {
    let aliases = include_str!("../../integration/fuzz/corpus/settings/aliases");
    for text in [aliases, &"- ".repeat(20_000)] {
        let refusal = refusal_of_file(text);
        assert!(refusal.ends_with(" repeats more by aliases, than settings do"), "{refusal}");
    }
}

#[test]
fn a_missing_variable_or_a_stray_brace_is_refused() {
    let unset = refusal_of_file("redact: {key: '${env:HOPLINE_NONE}'}");
    let brace = refusal_of_file("redact: {key: 'a${b}'}");

    let expected =
        "redact.key needs the environment variable HOPLINE_NONE, which is not set (own.yaml)";
    assert_eq!(unset, expected);
    let expected =
        "redact.key holds a ${ that is not ${env:NAME}; write $$ for a dollar sign (own.yaml)";
    assert_eq!(brace, expected);
}

#[test]
fn no_secret_is_in_an_explanation_the_settings_or_a_refusal() {
    let secret = "hunter2";
    let long = format!("redact.key={}", secret.repeat(1000));
    let header = "export.otlp.tempo.headers.authorization=Bearer hunter2";
    let proxy = "export.otlp.tempo.proxy=http://proxy:3128";
    let auth = "export.otlp.tempo.proxy_auth=a:hunter2";
    let good = set(&[TEMPO, header, proxy, auth, "redact.key=hunter2"]);
    let mut shown = format!("{:?} {:?}", explain(&good).unwrap(), load(&good).unwrap());
    for bad in [
        &[long.as_str()][..],
        &[TEMPO, "export.otlp.tempo.headers.a-bin=hunter2"],
        &[TEMPO, "export.otlp.tempo.headers.a=hunter2\n"],
        &["export.otlp.tempo.endpoint=http://a:hunter2@tempo:4317"],
        &[TEMPO, "export.otlp.tempo.logs_endpoint=http://a:hunter2@tempo:4317"],
        &["export.defaults.proxy=http://a:hunter2@proxy:3128"],
        &["export.defaults.proxy_auth=a:hunter2\n"],
        &[TEMPO, "export.otlp.tempo.proxy_auth=a:hunter2"],
        &["redact.kye=hunter2"],
        &["redact.key:hunter2"],
    ] {
        let error = load(&set(bad)).unwrap_err();
        shown.push_str(&format!("{error} {error:?}"));
    }

    assert!(!shown.contains(secret), "{shown}");
}

#[test]
fn no_secret_is_in_the_refusal_of_a_broken_file() {
    for text in [
        "HOPLINE__REDACT__KEY=hunter2",
        "redact: {key: {hunter2}}",
        "redact: {key: [hunter2]}",
        "redact: {key: {{hunter2}}}",
        "redact: {key: 'hunter2}",
        "export: {otlp: {a: {endpoint: ['http://a:hunter2@b']}}}",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let files = vec![file(&folder, "own.yaml", text)];
        let error = load(&Sources { files, ..Sources::default() }).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let shown = format!("{error} {error:?} {cause:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_file_that_breaks_off_is_refused_with_the_place() {
    let error = source::parse("a: [", &Origin::Set).unwrap_err();

    let cause = std::error::Error::source(&error).unwrap().to_string();

    assert!(cause.ends_with("at byte 4 line 2 column 1"), "{cause}");
}

#[test]
fn an_endpoint_is_an_address_and_nothing_else() {
    for text in ["tempo:4317", "ftp://tempo:4317", "http://tempo?token=a", "http://a@b:1", ""] {
        let refusal = refusal(&[&format!("export.otlp.a.endpoint={text}")]);
        assert!(refusal.starts_with("export.otlp.a.endpoint must be an address such as"), "{text}");
    }
}

#[test]
fn a_door_that_is_off_does_not_listen() {
    let settings = load(&set(&["receive.otlp.grpc.listen=off"])).unwrap();

    assert_eq!(settings.receive.grpc, None);
}

#[test]
fn two_doors_at_one_address_are_refused() {
    let both = "receive.otlp.http.listen is 127.0.0.1:4317, where receive.otlp.grpc.listen listens already";
    let wide = ["receive.allow_remote=insecurely", "receive.otlp.grpc.listen=0.0.0.0:8317"];

    assert_eq!(refusal(&["receive.otlp.http.listen=127.0.0.1:4317"]), both);
    assert_eq!(
        refusal(&wide),
        "serve.listen is 127.0.0.1:8317, where receive.otlp.grpc.listen listens already"
    );
}

#[test]
fn any_number_of_doors_may_take_a_free_port() {
    let free = ["receive.otlp.grpc.listen", "receive.otlp.http.listen", "serve.listen"]
        .map(|key| format!("{key}=127.0.0.1:0"));

    let settings = load(&set(&free.each_ref().map(String::as_str))).unwrap();

    assert_eq!(settings.serve.listen.port(), 0);
}

const TOKEN: &str = "shop sha256:0e4f6a5bd5bc9c5bb0a3b6f4e5a1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3";
const ID: &str = "shop spiffe://a.example/ns/shop/*";

#[test]
fn a_remote_address_is_refused_until_the_door_is_secured_or_open_in_words() {
    for (key, group) in [
        ("receive.otlp.grpc.listen", "receive"),
        ("receive.otlp.http.listen", "receive"),
        ("serve.listen", "serve"),
    ] {
        let listen = format!("{key}=0.0.0.0:5000");
        let cert = ["cert", "key"].map(|file| format!("{group}.tls.{file}_file=/a"));
        let token = format!("{group}.auth.tokens=[{TOKEN}]");
        let says = format!(
            "{key} is 0.0.0.0:5000, which other machines can reach: set {group}.tls (cert_file, \
             key_file) and {group}.auth (tokens or identities), or {group}.allow_remote to \
             insecurely if the network around it is trusted"
        );
        assert_eq!(refusal(&[&listen]), says);
        assert_eq!(refusal(&[&listen, &token]), says);
        assert_eq!(refusal(&[&listen, &cert[0], &cert[1]]), says);
        assert!(load(&set(&[&listen, &cert[0], &cert[1], &token])).is_ok(), "{key}");
        let insecurely = format!("{group}.allow_remote=insecurely");
        assert!(load(&set(&[&listen, &insecurely])).is_ok(), "{key}");
    }
    assert_eq!(
        refusal(&["receive.allow_remote=true"]),
        "receive.allow_remote must be secured or insecurely, not true (--set)"
    );
}

#[test]
fn a_certificate_and_those_who_may_come_in_must_go_together() {
    let cert = ["receive.tls.cert_file=/a", "receive.tls.key_file=/a"];
    let ca = "receive.tls.client_ca_file=/a";
    let identities = format!("receive.auth.identities=[{ID}]");
    let unix = "receive.otlp.grpc.listen=unix:/run/a.sock";
    let both = "receive.otlp.http.listen=unix:/run/a.sock";
    let twice = format!("receive.auth.tokens=[{TOKEN}, {}]", TOKEN.replace("shop", "bank"));
    let cases = [
        (&cert[..1], "receive.tls.key_file is missing: receive.tls.cert_file needs it"),
        (&cert[1..], "receive.tls.cert_file is missing: receive.tls.key_file needs it"),
        (&[ca], "receive.tls.cert_file is missing: receive.tls.client_ca_file needs it"),
        (&[cert[0], cert[1], ca], "receive.tls.client_ca_file lets nobody in by itself: say in"),
        (&[&identities], "receive.auth.identities needs receive.tls.client_ca_file: nobody"),
        (
            &[cert[0], cert[1], ca, &identities, unix],
            "receive.otlp.grpc.listen is unix:/run/a.sock,",
        ),
        (&[unix, both], "receive.otlp.http.listen is unix:/run/a.sock, where receive.otlp.grpc"),
        (&[&twice], "receive.auth is ambiguous: shop and bank have the same token"),
    ];
    for (texts, expected) in cases {
        let refusal = refusal(texts);
        assert!(refusal.starts_with(expected), "{refusal}");
    }
    assert!(load(&set(&[cert[0], cert[1], ca, &identities])).is_ok());
}

#[test]
fn the_line_of_a_list_that_is_wrong_is_named_and_no_token_is_shown() {
    let identities = format!("receive.auth.identities=[{ID}, shop spiffe://*]");
    assert_eq!(
        refusal(&[&identities]),
        "receive.auth.identities must be at most 4096 of: tenant spiffe://domain/path, whose end \
         may be /*, not shop spiffe://* (number 2) (--set)"
    );
    let tokens = format!("serve.auth.tokens=[{TOKEN}, shop hunter2]");
    assert_eq!(
        refusal(&[&tokens]),
        "serve.auth.tokens must be at most 4096 of: tenant sha256:<64 hex digits>, not **** \
         (number 2) (--set)"
    );
    assert_eq!(
        value_of(&set(&[&format!("serve.auth.tokens={TOKEN}")]), "serve.auth.tokens").0,
        "****"
    );
}

#[test]
fn values_that_do_not_go_together_are_refused() {
    let cases = [
        (
            "log.segment_bytes=3GiB",
            "log.segment_bytes is 3GiB and log.bytes_max 8GiB: the log is trimmed by whole \
             segments and needs room for 4",
        ),
        (
            "receive.request_bytes_max=113MiB",
            "receive.inflight_bytes_max is less than receive.request_bytes_max, \
             receive.encoded_bytes_max and the 8MiB that decompression needs together: such a \
             request would be told to retry for ever",
        ),
        ("join.quiet=2m", "join.quiet must not be longer than join.longest"),
        ("join.rootless=2m", "join.rootless must not be longer than join.longest"),
        ("index.keep=30m", "index.bucket must not be longer than index.keep"),
    ];

    for (text, expected) in cases {
        assert_eq!(refusal(&[text]), expected);
    }
}

#[test]
fn what_a_destination_is_told_for_nothing_is_refused() {
    let tls = "export.otlp.tempo.endpoint=https://tempo:4317";
    let cases = [
        (
            &["export.otlp.tempo.endpoint=http://tempo:4317/otlp"][..],
            "endpoint has a path, which only protocol http can use",
        ),
        (
            &[TEMPO, "export.otlp.tempo.logs_endpoint=http://loki:3100/otlp/v1/logs"],
            "logs_endpoint is for protocol http; over grpc all signals have one endpoint",
        ),
        (
            &[TEMPO, "export.otlp.tempo.ca_file=ca.pem"],
            "ca_file is of no use: the endpoint does not begin with https://",
        ),
        (
            &[TEMPO, "export.defaults.server_name=tempo"],
            "server_name is of no use: the endpoint does not begin with https://",
        ),
        (&[tls, "export.otlp.tempo.cert_file=cert.pem"], "key_file must be given with cert_file"),
        (&[tls, "export.otlp.tempo.key_file=key.pem"], "cert_file must be given with key_file"),
        (&[TEMPO, "export.otlp.tempo.proxy_auth=a:b"], "proxy_auth is of no use without proxy"),
        (
            &[TEMPO, "export.otlp.tempo.when_full=drop_oldest", "log.bytes_max=4GiB"],
            "backlog_max is more than log.bytes_max less two of log.segment_bytes: the log would \
             be full before anything is dropped",
        ),
    ];

    for (texts, expected) in cases {
        assert_eq!(refusal(texts), format!("export.otlp.tempo.{expected}"));
    }
}

#[test]
fn a_destination_over_http_may_have_a_path_and_endpoints_of_its_signals() {
    let sources = set(&[
        "export.otlp.loki.endpoint=https://loki:3100/otlp",
        "export.otlp.loki.logs_endpoint=http://loki:3101/logs",
        "export.otlp.loki.protocol=http",
        "export.otlp.loki.signals=[logs, traces]",
        "export.otlp.loki.ca_file=ca.pem",
    ]);

    let [loki] = load(&sources).unwrap().export.try_into().unwrap();

    assert_eq!(loki.endpoint, "https://loki:3100/otlp");
    assert_eq!(loki.endpoints, [(Signal::Logs, "http://loki:3101/logs".to_owned())]);
    assert_eq!(loki.signals, [Signal::Logs, Signal::Traces]);
    assert_eq!(loki.tls.ca_file, Some("ca.pem".into()));
}

#[test]
fn the_memory_bounds_are_the_sum_of_all_that_is_held() {
    let settings = load(&set(&[TEMPO, "index.memory=60MiB"])).unwrap();

    let bounds: Vec<_> = settings.memory().iter().map(Bound::to_string).collect();

    let expected = [
        "receive.inflight_bytes_max 128MiB",
        "contexts of zstd 12MiB",
        "receive.repeats_max 18.3MiB",
        "log.tail_bytes 32MiB",
        "log.queue_bytes_max 64MiB",
        "limit.symbols_max 61.0MiB",
        "limit.series_max, measure.windows 146.4MiB",
        "join.shards 20MiB",
        "join.shards, mail 30.5MiB",
        "join.evidence_max 91.5MiB",
        "join.evidence_max, waiting 61.0MiB",
        "join.evidence_max, closed 24.7MiB",
        "join.journeys_max 48.8MiB",
        "join.bindings_max 45.7MiB",
        "join.remembered_evidence_max 45.7MiB",
        "index.memory 120MiB",
        "export.otlp.tempo 124MiB",
    ];
    assert_eq!(bounds, expected);
}

#[test]
fn without_a_join_nothing_is_held_for_it_and_nothing_waits_for_it() {
    let alone = ["join.enabled=false", "index.enabled=false", TEMPO];
    let bounds: Vec<_> =
        load(&set(&alone)).unwrap().memory().into_iter().map(|bound| bound.name).collect();
    let expected = [
        "receive.inflight_bytes_max",
        "contexts of zstd",
        "receive.repeats_max",
        "log.tail_bytes",
        "log.queue_bytes_max",
        "export.otlp.tempo",
    ];
    assert_eq!(bounds, expected);
    let indexed = refusal(&["join.enabled=false", TEMPO]);
    assert!(indexed.contains("there would be no journeys to index"), "{indexed}");
    let unread = refusal(&["join.enabled=false", "index.enabled=false"]);
    assert!(unread.contains("nothing would read the evidence"), "{unread}");
}

#[test]
fn bounds_beyond_memory_max_are_refused_with_their_list() {
    let refusal = refusal(&["memory_max=512MiB", "index.enabled=false"]);

    let first = "the memory bounds add up to more than memory_max:\n  receive.inflight_bytes_max";
    assert!(refusal.starts_with(first), "{refusal}");
    assert!(refusal.ends_with("\n  together 830.0MiB, memory_max 512MiB"), "{refusal}");
    assert!(refusal.contains("\n  index.memory 0B\n"), "{refusal}");
}

#[test]
fn the_examples_are_accepted() {
    let ack = ["config/gateway.yaml", "config/sidecar.yaml"].map(|path| {
        let settings = load(&Sources { files: vec![path.into()], ..Sources::default() }).unwrap();
        (settings.log.ack, settings.index.enabled, settings.export.len())
    });

    assert_eq!(ack, [(Ack::Wal, true, 1), (Ack::Memory, false, 1)]);
}

proptest! {
    #[test]
    fn no_text_makes_reading_settings_panic(key in "[a-z._]*", value in ".*") {
        let all: Vec<_> = defaults().into_iter().map(|line| line.key).collect();
        let known = all[value.len() % all.len()].as_str();
        for key in [key.as_str(), known, "export.otlp.a.endpoint", "export.otlp.a.headers.b"] {
            drop(load(&set(&[&format!("{key}={value}")])));
        }
    }

    #[test]
    fn no_file_makes_reading_settings_panic(text in "[a-z0-9:{}\\[\\]'\"$ &*|>#,\n-]*") {
        drop(source::parse(&text, &Origin::Set));
    }
}

#[test]
fn pages_are_let_in_by_origin_and_a_path_is_none() {
    let key = "receive.otlp.http.cors.allowed_origins";
    let good =
        load(&set(&[&format!("{key}=[https://*.example.com, http://localhost:*]")])).unwrap();
    assert_eq!(good.for_doors().cors.origins.len(), 2);
    for bad in ["https://a.example/path", "a.example", "null"] {
        let refusal = refusal(&[&format!("{key}={bad}")]);
        assert!(
            refusal.starts_with(&format!("{key} must be a list of origins such as")),
            "{refusal}"
        );
    }
}
