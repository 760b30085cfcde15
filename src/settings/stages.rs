//! Checked settings in the form that each stage takes.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::checked::{Ack, Action, Settings, Tls};
use super::destination::{ClientTls, Destination, Header, WhenFull};
use crate::export;
use crate::index;
use crate::join;
use crate::log;
use crate::measure;
use crate::receive;
use crate::redact;

impl Settings {
    /// For the doors.
    #[must_use]
    pub fn for_doors(&self) -> receive::Settings {
        receive::Settings {
            request_bytes_max: self.receive.request_bytes_max,
            encoded_bytes_max: self.receive.encoded_bytes_max,
            inflight_bytes_max: self.receive.inflight_bytes_max,
            connections_max: self.receive.connections_max,
            connections_per_peer_max: self.receive.connections_per_peer_max,
            streams_max: self.receive.streams_max,
            header_timeout: self.receive.header_timeout,
            connection_age_max: self.receive.connection_age_max,
            body_timeout: self.receive.body_timeout,
            body_rate_min: self.receive.body_rate_min,
            cors: self.receive.cors.clone(),
            ..receive::Settings::default()
        }
    }

    /// For the gate of the doors.
    #[must_use]
    pub fn for_gate(&self) -> receive::Terms {
        receive::Terms { auth: self.receive.auth.clone(), ..self.for_doors().terms() }
    }

    /// For the gate of the API. Answers may take longer than those of a door, and people keep a
    /// page open.
    #[must_use]
    pub fn for_api_gate(&self) -> receive::Terms {
        receive::Terms {
            connection_age_max: Duration::from_secs(3600),
            drain_timeout: Duration::from_secs(10),
            auth: self.serve.auth.clone(),
            ..receive::Settings::default().terms()
        }
    }

    /// For the edits and the redaction; `key` is the key of the pseudonyms.
    #[must_use]
    pub fn for_redact(&self, key: [u8; 32]) -> redact::Settings {
        let detectors = self.redact.detectors;
        redact::Settings {
            enabled: self.redact.enabled,
            action: match self.redact.action {
                Action::Mask => redact::Action::Mask(self.redact.mask.clone()),
                Action::Pseudonym => redact::Action::Pseudonym(key),
            },
            keys: self.redact.keys.clone(),
            keep_keys: self.redact.keep_keys.clone(),
            urls: self.redact.urls.clone(),
            detectors: redact::Detectors {
                bearer: detectors.bearer,
                jwt: detectors.jwt,
                card: detectors.card,
                email: detectors.email,
                assignment: detectors.assignment,
            },
            caps: self.limit.record,
            edit: redact::edit::Settings { rules: self.edit.clone(), key },
        }
    }

    /// For the log.
    #[must_use]
    pub fn for_log(&self) -> log::Settings {
        log::Settings {
            dir: self.data_dir.join("log"),
            segment_bytes: self.log.segment_bytes,
            bytes_max: self.log.bytes_max,
            keep: self.log.keep,
            ack: match self.log.ack {
                Ack::Wal => log::Ack::Wal,
                // Until the destinations have it, the kernel does.
                Ack::Memory | Ack::EndToEnd => log::Ack::Memory,
            },
            packs: self.log.compress,
            tail_bytes: self.log.tail_bytes,
            queue_bytes_max: self.log.queue_bytes_max,
        }
    }

    /// For one shard of the join: its share of what all shards may hold.
    #[must_use]
    pub fn for_shard(&self) -> join::Settings {
        let shards = self.join.shards.max(1);
        let share = |all: usize| all.div_ceil(shards);
        let remembered = usize::try_from(self.join.remembered_evidence_max).unwrap_or(usize::MAX);
        let bindings = usize::try_from(self.join.bindings_max).unwrap_or(usize::MAX);
        join::Settings {
            quiet: self.join.quiet,
            rootless: self.join.rootless,
            longest: self.join.longest,
            weak_wait: self.join.weak_wait,
            evidence_max: share(self.join.evidence_max),
            journeys_max: share(self.join.journeys_max),
            journey_evidence_max: self.join.journey_evidence_max,
            journey_keys_max: 64,
            waiting_max: share(self.join.waiting_max()),
            bindings_max: share(bindings),
            key_bindings_max: 64,
            remembered_evidence_max: share(remembered) as u64,
            remember: self.join.remember,
            socket_slack: self.join.socket_slack,
        }
    }

    /// For the measures.
    #[must_use]
    pub fn for_measure(&self) -> measure::Settings {
        measure::Settings {
            series_max: self.limit.series_max,
            window: self.measure.window,
            windows: self.measure.windows,
            idle: self.measure.idle,
        }
    }

    /// For the index.
    #[must_use]
    pub fn for_index(&self) -> index::Settings {
        index::Settings {
            dir: self.data_dir.join("index"),
            bucket: self.index.bucket,
            keep: self.index.keep,
            bytes_max: self.index.bytes_max,
            memory: self.index.memory,
            text_bytes_max: self.index.text_bytes_max,
        }
    }

    /// How long the gateway may take to stop.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.shutdown.deadline
    }
}

impl Tls {
    /// The files of a door that is encrypted.
    #[must_use]
    pub fn files(&self) -> Option<receive::Files> {
        Some(receive::Files {
            cert: self.cert_file.clone()?,
            key: self.key_file.clone()?,
            client_ca: self.client_ca_file.clone(),
            oldest: self.min_version,
        })
    }
}

impl Destination {
    /// For the exporter.
    #[must_use]
    pub fn for_export(&self) -> export::Destination {
        let header = |header: &Header| {
            // The settings were checked to be a header's name and value.
            let name = HeaderName::try_from(header.name.as_str()).ok()?;
            let mut value = HeaderValue::try_from(header.value.expose()).ok()?;
            value.set_sensitive(true);
            Some((name, value))
        };
        export::Destination {
            compression: self.compression,
            protocol: self.protocol,
            endpoints: self.endpoints.clone(),
            signals: self.signals.clone(),
            level: self.compression_level,
            timeout: self.timeout,
            concurrency: self.concurrency,
            batch_bytes_max: self.batch_bytes_max,
            batch_wait: self.batch_wait,
            backlog_max: match self.when_full {
                WhenFull::Hold => None,
                WhenFull::DropOldest => Some(self.backlog_max),
            },
            tls: self.tls.for_export(),
            proxy: self.proxy.clone().map(|it| export::Proxy::new(it, self.proxy_auth.expose())),
            headers: self.headers.iter().filter_map(header).collect(),
            ..export::Destination::new(self.name.clone(), self.endpoint.clone())
        }
    }
}

impl ClientTls {
    fn for_export(&self) -> export::Tls {
        let files = self.cert_file.clone().zip(self.key_file.clone());
        let identity = files.map(|(cert_file, key_file)| export::Identity { cert_file, key_file });
        let (ca_file, server_name) = (self.ca_file.clone(), self.server_name.clone());
        export::Tls { ca_file, identity, server_name }
    }
}
