//! Raw settings to checked ones: each key is named once, with its type and range.

use super::checked::{
    Ack, Action, Detectors, Format, Index, Join, Limit, Log, Measure, Receive, Redact, Remote,
    Serve, Settings, Shutdown, Telemetry, Tls,
};
use super::destination::{ClientTls, Destination, Header, WhenFull};
use super::error::Error;
use super::raw::{DESTINATION_DEFAULTS, DESTINATIONS, HEADERS, Raw};
use super::unit::{DAY, GIB, HOUR, KIB, MIB, MINUTE, MS, SECOND, TIB};
use crate::evidence::Signal;
use crate::export::{Compression, Protocol};
use crate::receive::{Auth, Cors, Version};
use crate::redact::Caps;

/// Each value for itself; whether they go together is another matter.
pub(super) fn build(raw: &Raw) -> Result<Settings, Error> {
    Ok(Settings {
        data_dir: raw.path("data_dir")?,
        memory_max: raw.bytes("memory_max", 16 * MIB..=16 * TIB)?,
        receive: receive(raw)?,
        edit: raw.edits("edit")?,
        redact: redact(raw)?,
        limit: limit(raw)?,
        log: log(raw)?,
        join: join(raw)?,
        measure: Measure {
            window: raw.duration("measure.window", SECOND..=HOUR)?,
            windows: raw.count("measure.windows", 1..=60)?,
            idle: raw.duration("measure.idle", SECOND..=DAY)?,
        },
        index: index(raw)?,
        export: export(raw)?,
        serve: Serve {
            listen: raw.address("serve.listen")?,
            allow_remote: remote(raw, "serve")?,
            tls: tls(raw, "serve")?,
            auth: auth(raw, "serve")?,
        },
        telemetry: telemetry(raw)?,
        shutdown: Shutdown { deadline: raw.duration("shutdown.deadline", 10 * MS..=HOUR)? },
    })
}

fn receive(raw: &Raw) -> Result<Receive, Error> {
    Ok(Receive {
        grpc: raw.door("receive.otlp.grpc.listen")?,
        http: raw.door("receive.otlp.http.listen")?,
        allow_remote: remote(raw, "receive")?,
        tls: tls(raw, "receive")?,
        auth: auth(raw, "receive")?,
        request_bytes_max: raw.bytes("receive.request_bytes_max", KIB..=GIB)?,
        encoded_bytes_max: raw.bytes("receive.encoded_bytes_max", KIB..=GIB)?,
        request_items_max: raw.count("receive.request_items_max", 1..=10_000_000)?,
        inflight_bytes_max: raw.bytes("receive.inflight_bytes_max", KIB..=64 * GIB)?,
        connections_max: raw.count("receive.connections_max", 1..=65_536)?,
        connections_per_peer_max: raw.count("receive.connections_per_peer_max", 1..=65_536)?,
        streams_max: raw.count("receive.streams_max", 1..=65_536)?,
        repeat_window: Some(raw.duration("receive.repeat_window", 0..=DAY)?)
            .filter(|window| !window.is_zero()),
        repeats_max: raw.count("receive.repeats_max", 1..=100_000_000)?,
        header_timeout: raw.duration("receive.header_timeout", 10 * MS..=5 * MINUTE)?,
        connection_age_max: raw.duration("receive.connection_age_max", SECOND..=DAY)?,
        body_timeout: raw.duration("receive.body_timeout", 10 * MS..=HOUR)?,
        body_rate_min: raw.bytes("receive.body_rate_min", 0..=GIB)?,
        cors: Cors {
            origins: raw.origins("receive.otlp.http.cors.allowed_origins")?,
            headers: raw.header_names("receive.otlp.http.cors.allowed_headers")?,
            max_age: raw.duration("receive.otlp.http.cors.max_age", 0..=DAY)?,
        },
        follow: raw.texts("receive.flows.follow")?,
    })
}

/// When the doors of a group may listen beyond this machine.
fn remote(raw: &Raw, group: &str) -> Result<Remote, Error> {
    let words = [("secured", Remote::Secured), ("insecurely", Remote::Insecurely)];
    raw.choice(&format!("{group}.allow_remote"), &words)
}

fn tls(raw: &Raw, group: &str) -> Result<Tls, Error> {
    let key = |name: &str| format!("{group}.tls.{name}");
    let versions = [("1.2", Version::Tls12), ("1.3", Version::Tls13)];
    Ok(Tls {
        cert_file: raw.file(&key("cert_file"))?,
        key_file: raw.file(&key("key_file"))?,
        client_ca_file: raw.file(&key("client_ca_file"))?,
        min_version: raw.choice(&key("min_version"), &versions)?,
    })
}

fn auth(raw: &Raw, group: &str) -> Result<Auth, Error> {
    let (token, identity) =
        ("tenant sha256:<64 hex digits>", "tenant spiffe://domain/path, whose end may be /*");
    Ok(Auth {
        tokens: raw.lines(&format!("{group}.auth.tokens"), token)?,
        identities: raw.lines(&format!("{group}.auth.identities"), identity)?,
    })
}

fn redact(raw: &Raw) -> Result<Redact, Error> {
    let actions = [("mask", Action::Mask), ("pseudonym", Action::Pseudonym)];
    Ok(Redact {
        enabled: raw.flag("redact.enabled")?,
        action: raw.choice("redact.action", &actions)?,
        mask: raw.mask("redact.mask")?,
        key: raw.secret("redact.key")?,
        keys: raw.texts("redact.keys")?,
        keep_keys: raw.texts("redact.keep_keys")?,
        urls: raw.texts("redact.urls")?,
        detectors: Detectors {
            bearer: raw.flag("redact.detectors.bearer")?,
            jwt: raw.flag("redact.detectors.jwt")?,
            card: raw.flag("redact.detectors.card")?,
            email: raw.flag("redact.detectors.email")?,
            assignment: raw.flag("redact.detectors.assignment")?,
        },
    })
}

fn limit(raw: &Raw) -> Result<Limit, Error> {
    const MANY: u64 = 1_000_000;
    // A mask has 64 bytes at most, and must fit.
    const LEAST: u64 = 64;
    Ok(Limit {
        record: Caps {
            attributes_max: raw.count("limit.attributes_max", 1..=MANY)?,
            key_bytes_max: raw.bytes("limit.key_bytes_max", LEAST..=MIB)?,
            value_bytes_max: raw.bytes("limit.value_bytes_max", LEAST..=GIB)?,
            body_bytes_max: raw.bytes("limit.body_bytes_max", LEAST..=GIB)?,
            elements_max: raw.count("limit.elements_max", 1..=MANY)?,
            events_max: raw.count("limit.events_max", 1..=MANY)?,
            links_max: raw.count("limit.links_max", 1..=MANY)?,
        },
        symbols_max: raw.count("limit.symbols_max", 1..=100_000_000)?,
        series_max: raw.count("limit.series_max", 1..=MANY)?,
    })
}

fn log(raw: &Raw) -> Result<Log, Error> {
    let acks = [Ack::Wal, Ack::Memory, Ack::EndToEnd].map(|ack| (ack.name(), ack));
    Ok(Log {
        ack: raw.choice("log.ack", &acks)?,
        e2e_timeout: raw.duration("log.e2e_timeout", 100 * MS..=HOUR)?,
        compress: raw.choice("log.compression", &[("zstd", true), ("none", false)])?,
        segment_bytes: raw.bytes("log.segment_bytes", 4 * KIB..=4 * GIB)?,
        bytes_max: raw.bytes("log.bytes_max", 16 * KIB..=64 * TIB)?,
        keep: raw.duration("log.keep", SECOND..=30 * DAY)?,
        tail_bytes: raw.bytes("log.tail_bytes", 0..=16 * GIB)?,
        queue_bytes_max: raw.bytes("log.queue_bytes_max", 4 * KIB..=16 * GIB)?,
    })
}

fn join(raw: &Raw) -> Result<Join, Error> {
    const MANY: u64 = 1_000_000_000;
    Ok(Join {
        enabled: raw.flag("join.enabled")?,
        shards: raw.count("join.shards", 1..=256)?,
        quiet: raw.duration("join.quiet", 10 * MS..=10 * MINUTE)?,
        rootless: raw.duration("join.rootless", 10 * MS..=HOUR)?,
        longest: raw.duration("join.longest", 10 * MS..=HOUR)?,
        weak_wait: raw.duration("join.weak_wait", MS..=10 * MINUTE)?,
        evidence_max: raw.count("join.evidence_max", 1..=MANY)?,
        journeys_max: raw.count("join.journeys_max", 1..=MANY / 10)?,
        journey_evidence_max: raw.count("join.journey_evidence_max", 1..=MANY / 100)?,
        bindings_max: raw.count("join.bindings_max", 1..=MANY)?,
        remember: raw.duration("join.remember", 0..=DAY)?,
        remembered_evidence_max: raw.count("join.remembered_evidence_max", 0..=MANY)?,
        socket_slack: raw.duration("join.socket_slack", 0..=MINUTE)?,
    })
}

fn index(raw: &Raw) -> Result<Index, Error> {
    Ok(Index {
        enabled: raw.flag("index.enabled")?,
        bucket: raw.duration("index.bucket", MINUTE..=DAY)?,
        keep: raw.duration("index.keep", MINUTE..=3650 * DAY)?,
        bytes_max: raw.bytes("index.bytes_max", MIB..=64 * TIB)?,
        // Tantivy takes no less than 15 MB and no more than 4 GiB for a writer.
        memory: raw.bytes("index.memory", 15 * MIB..=3 * GIB)?,
        commit: raw.duration("index.commit", 10 * MS..=MINUTE)?,
        text_bytes_max: raw.bytes("index.text_bytes_max", 64..=MIB)?,
    })
}

fn export(raw: &Raw) -> Result<Vec<Destination>, Error> {
    // The defaults are checked even when nothing uses them.
    destination(raw, None)?;
    raw.destinations().map(|name| destination(raw, Some(name))).collect()
}

/// One destination, or what the defaults make of one.
fn destination(raw: &Raw, name: Option<&str>) -> Result<Destination, Error> {
    let own = |key: &str| name.map(|name| format!("{DESTINATIONS}.{name}.{key}"));
    let key = |key: &str| {
        let own = own(key).filter(|own| raw.get(own).is_some());
        own.unwrap_or_else(|| format!("{DESTINATION_DEFAULTS}.{key}"))
    };
    let compressions =
        [("none", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)];
    let protocols = [("grpc", Protocol::Grpc), ("http", Protocol::Http)];
    let policies = [("hold", WhenFull::Hold), ("drop_oldest", WhenFull::DropOldest)];
    let endpoint = own("endpoint").map(|key| raw.endpoint(&key)).transpose()?;
    Ok(Destination {
        name: name.unwrap_or_default().to_owned(),
        protocol: raw.choice(&key("protocol"), &protocols)?,
        endpoint: endpoint.unwrap_or_default(),
        endpoints: endpoints(raw, own)?,
        signals: raw.signals(&key("signals"))?,
        compression: raw.choice(&key("compression"), &compressions)?,
        compression_level: raw.count(&key("compression_level"), 1..=9)?,
        timeout: raw.duration(&key("timeout"), 10 * MS..=5 * MINUTE)?,
        concurrency: raw.count(&key("concurrency"), 1..=256)?,
        batch_bytes_max: raw.bytes(&key("batch_bytes_max"), 64 * KIB..=GIB)?,
        batch_wait: raw.duration(&key("batch_wait"), 0..=MINUTE)?,
        when_full: raw.choice(&key("when_full"), &policies)?,
        backlog_max: raw.bytes(&key("backlog_max"), 64 * KIB..=64 * TIB)?,
        tls: ClientTls {
            ca_file: raw.optional(&key("ca_file"))?,
            cert_file: raw.optional(&key("cert_file"))?,
            key_file: raw.optional(&key("key_file"))?,
            server_name: raw.optional(&key("server_name"))?,
        },
        proxy: raw.proxy(&key("proxy"))?,
        proxy_auth: raw.proxy_auth(&key("proxy_auth"))?,
        headers: own(HEADERS).map_or(Ok(Vec::new()), |group| headers(raw, &group))?,
    })
}

type Endpoints = Vec<(Signal, String)>;

/// The addresses of single signals, of those that have one.
fn endpoints(raw: &Raw, own: impl Fn(&str) -> Option<String>) -> Result<Endpoints, Error> {
    let keys = Signal::ALL.into_iter().filter_map(|signal| {
        let key = own(&format!("{}_endpoint", signal.name()))?;
        raw.get(&key).is_some().then_some((signal, key))
    });
    keys.map(|(signal, key)| Ok((signal, raw.endpoint(&key)?))).collect()
}

/// The headers below `group`.
fn headers(raw: &Raw, group: &str) -> Result<Vec<Header>, Error> {
    let below = |key: &str| key.strip_prefix(group)?.strip_prefix('.').map(str::to_ascii_lowercase);
    let named = raw.entries().filter_map(|(key, _)| Some((key, below(key)?)));
    named.map(|(key, name)| Ok(Header { value: raw.header(key, &name)?, name })).collect()
}

fn telemetry(raw: &Raw) -> Result<Telemetry, Error> {
    let levels = [
        ("error", tracing::Level::ERROR),
        ("warn", tracing::Level::WARN),
        ("info", tracing::Level::INFO),
        ("debug", tracing::Level::DEBUG),
        ("trace", tracing::Level::TRACE),
    ];
    let formats = [("human", Format::Human), ("json", Format::Json)];
    Ok(Telemetry {
        level: raw.choice("telemetry.log.level", &levels)?,
        format: raw.choice("telemetry.log.format", &formats)?,
    })
}
