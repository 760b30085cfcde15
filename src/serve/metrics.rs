//! `GET /metrics`: Prometheus text.

use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::problem::Problem;
use super::{ForgottenBindings, Shared, Sources, vitals};
use crate::evidence::{Nanos, Signal, Source};
use crate::export;
use crate::export::Summary;
use crate::join::Held;
use crate::ledger::{Refusal, Standing};
use crate::measure::prometheus::{Kind, Page};
use crate::receive::Tally;

const TEXT: [(header::HeaderName, &str); 1] =
    [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];

/// Everything that Hopline counts.
#[utoipa::path(get, path = "/metrics", responses((status = 200, content_type = "text/plain")))]
pub(crate) async fn metrics(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    let held = super::held(&shared.sources).await;
    let sources = shared.sources;
    let made = tokio::task::spawn_blocking(move || write(&sources, held.as_ref())).await;
    let text = made.map_err(|_| Problem::unavailable("the metrics could not be read"))?;
    Ok((TEXT, text))
}

/// Name, help, and where the value comes from.
type Count<T, V> = (&'static str, &'static str, fn(&T) -> V);

/// A count, and what kind of metric it is.
type Kinded<T> = (Kind, Count<T, f64>);

fn write(sources: &Sources, held: Option<&Held>) -> String {
    let mut text = String::new();
    let mut page = Page::new(&mut text);
    vitals::write(sources, &mut page);
    doors(sources, &mut page);
    super::doors::write(&sources.gates, &mut page);
    vitals::write_doors(sources, &mut page);
    ledger(sources, &mut page);
    redacted(sources, &mut page);
    log(sources, &mut page);
    join(sources, held, &mut page);
    index(sources, &mut page);
    exports(sources, &mut page);
    symbols(sources, &mut page);
    super::with_hops(&sources.hops, |hops| hops.write_prometheus(&sources.symbols, &mut text));
    text
}

fn doors(sources: &Sources, page: &mut Page<'_>) {
    let doors = &sources.doors;
    let counts: [Count<Tally, u64>; 4] = [
        ("hopline_door_requests_total", "Requests that reached a door.", |it| it.requests()),
        ("hopline_door_wire_bytes_total", "Bytes of requests on the wire.", |it| {
            it.encoded_bytes()
        }),
        ("hopline_door_bytes_total", "Bytes of requests, inflated.", |it| it.decoded_bytes()),
        ("hopline_door_rejected_total", "Items rejected within accepted requests.", |it| {
            it.rejected()
        }),
    ];
    for (name, help, count) in counts {
        page.family(name, Kind::Counter, help);
        for source in Source::ALL {
            page.sample(name, &[("source", source.name())], count(doors.of(source)));
        }
    }
    let name = "hopline_door_refused_total";
    page.family(name, Kind::Counter, "Requests that were sent back, by reason.");
    for source in Source::ALL {
        for refusal in Refusal::ALL {
            let labels = [("source", source.name()), ("reason", refusal.name())];
            page.sample(name, &labels, doors.of(source).refused(refusal));
        }
    }
    let name = "hopline_door_unsupported_total";
    page.family(name, Kind::Counter, "Requests of a type, encoding or signal that is not taken.");
    for source in Source::ALL {
        page.sample(name, &[("source", source.name())], doors.of(source).unsupported());
    }
}

fn ledger(sources: &Sources, page: &mut Page<'_>) {
    let ledger = &sources.ledger;
    let name = "hopline_received_items_total";
    page.family(name, Kind::Counter, "Spans, log records and points that reached a door.");
    for signal in Signal::ALL {
        page.sample(name, &[("signal", signal.name())], ledger.entrance(signal).received);
    }
    let name = "hopline_admitted_items_total";
    page.family(name, Kind::Counter, "Items that are in the log.");
    for signal in Signal::ALL {
        page.sample(name, &[("signal", signal.name())], ledger.entrance(signal).admitted);
    }
    let name = "hopline_repeated_items_total";
    page.family(name, Kind::Counter, "Items of requests that were sent again: kept once.");
    for signal in Signal::ALL {
        page.sample(name, &[("signal", signal.name())], ledger.entrance(signal).repeated);
    }
    let name = "hopline_refused_items_total";
    page.family(name, Kind::Counter, "Items that were sent back, by reason.");
    for signal in Signal::ALL {
        for (reason, count) in ledger.entrance(signal).refused {
            page.sample(name, &[("signal", signal.name()), ("reason", reason.name())], count);
        }
    }
    accounts(sources, page);
}

fn accounts(sources: &Sources, page: &mut Page<'_>) {
    let mut standings = Vec::new();
    for account in sources.ledger.accounts() {
        for signal in Signal::ALL {
            let admitted = sources.ledger.entrance(signal).admitted;
            standings.push((account.clone(), signal, account.standing(signal, admitted)));
        }
    }
    let counts: [Kinded<Standing>; 6] = [
        (
            Kind::Counter,
            ("hopline_recovered_items_total", "Unread in the log at the start.", |it| {
                float(it.recovered)
            }),
        ),
        (
            Kind::Counter,
            (
                "hopline_copied_items_total",
                "In several journeys, once for each further one.",
                |it| float(it.copied),
            ),
        ),
        (
            Kind::Counter,
            ("hopline_done_items_total", "Indexed, or acknowledged by the destination.", |it| {
                float(it.done)
            }),
        ),
        (
            Kind::Counter,
            ("hopline_passed_items_total", "Of no use to this consumer, by design.", |it| {
                float(it.passed)
            }),
        ),
        (
            Kind::Gauge,
            ("hopline_held_items", "In the log, in queues, in open journeys.", |it| float(it.held)),
        ),
        (Kind::Gauge, ("hopline_imbalance_items", "Zero whenever nothing moves.", signed)),
    ];
    for (kind, (name, help, count)) in counts {
        page.family(name, kind, help);
        for (account, signal, standing) in &standings {
            let labels = [("consumer", account.consumer()), ("signal", signal.name())];
            page.sample(name, &labels, count(standing));
        }
    }
    let name = "hopline_lost_items_total";
    page.family(name, Kind::Counter, "Items that went no further, by reason.");
    for (account, signal, standing) in &standings {
        for (reason, count) in &standing.lost {
            let labels = [
                ("consumer", account.consumer()),
                ("signal", signal.name()),
                ("reason", reason.name()),
            ];
            page.sample(name, &labels, *count);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn signed(standing: &Standing) -> f64 {
    standing.imbalance() as f64
}

fn redacted(sources: &Sources, page: &mut Page<'_>) {
    let name = "hopline_redacted_values_total";
    page.family(name, Kind::Counter, "Values that redaction hid or shortened.");
    let counts = [
        ("key", &sources.redacted.by_key),
        ("url", &sources.redacted.by_url),
        ("form", &sources.redacted.by_form),
    ];
    for (by, count) in counts {
        page.sample(name, &[("by", by)], count.load(Ordering::Relaxed));
    }
    let name = "hopline_cut_total";
    page.family(name, Kind::Counter, "Parts of records that were too long or too many, cut off.");
    for (kind, count) in sources.redacted.cuts() {
        page.sample(name, &[("kind", kind)], count);
    }
    let name = "hopline_mended_ids_total";
    page.family(name, Kind::Counter, "Ids of the wrong length, taken out of records that stay.");
    page.sample(name, &[], sources.redacted.mended.load(Ordering::Relaxed));
    let name = "hopline_edited_attributes_total";
    page.family(name, Kind::Counter, "Attributes that edits added, changed or removed.");
    page.sample(name, &[], sources.redacted.edited.load(Ordering::Relaxed));
    let name = "hopline_edit_uncopied_values_total";
    page.family(name, Kind::Counter, "Values that were too large for an edit to copy.");
    page.sample(name, &[], sources.redacted.uncopied.load(Ordering::Relaxed));
}

fn log(sources: &Sources, page: &mut Page<'_>) {
    let status = sources.log.status();
    let gauges = [
        ("hopline_log_bytes", "Size of the log.", status.bytes),
        ("hopline_log_bytes_max", "The most that the log may take.", status.bytes_max),
        (
            "hopline_log_failing",
            "Whether the latest group could not be written.",
            u64::from(status.failing),
        ),
        (
            "hopline_log_pressure",
            "How close the log is to refusing: 0 is low, 1 is soft, 2 is hard.",
            status.pressure as u64,
        ),
    ];
    for (name, help, value) in gauges {
        page.family(name, Kind::Gauge, help);
        page.sample(name, &[], value);
    }
    let counters = [
        (
            "hopline_log_corrupt_spans_total",
            "Damaged spans that were skipped.",
            status.corrupt.spans,
        ),
        (
            "hopline_log_torn_bytes_total",
            "Bytes of a batch that a crash left unfinished, cut off at the start.",
            status.corrupt.torn_bytes,
        ),
        (
            "hopline_log_poisoned_total",
            "Segments given up because the disk failed.",
            status.poisoned,
        ),
    ];
    for (name, help, value) in counters {
        page.family(name, Kind::Counter, help);
        page.sample(name, &[], value);
    }
    let name = "hopline_log_lag_bytes";
    page.family(name, Kind::Gauge, "How much of the log a consumer has not finished.");
    for cursor in &status.cursors {
        page.sample(name, &[("consumer", &cursor.name)], cursor.lag_bytes);
    }
}

fn join(sources: &Sources, held: Option<&Held>, page: &mut Page<'_>) {
    let Some(held) = held else { return };
    let gauges = [
        ("hopline_join_open_journeys", "Open journeys.", held.journeys),
        ("hopline_join_evidence", "Evidence in open journeys.", held.evidence),
        ("hopline_join_waiting", "Evidence that waits for a binding.", held.waiting),
        ("hopline_join_bindings", "Weak keys whose journey is known.", held.bindings),
    ];
    for (name, help, value) in gauges {
        page.family(name, Kind::Gauge, help);
        page.sample(name, &[], value);
    }
    let name = "hopline_join_lost_mail_total";
    page.family(name, Kind::Counter, "Messages between shards that were lost, by subject.");
    for (subject, count) in sources.unjoined.lost_mail.counts() {
        page.sample(name, &[("subject", subject)], count);
    }
    let name = "hopline_join_forgotten_bindings_total";
    page.family(name, Kind::Counter, "Bindings forgotten for want of room, by reason.");
    for (reason, count) in ForgottenBindings::total(&sources.unjoined.forgotten) {
        page.sample(name, &[("reason", reason)], count);
    }
}

fn index(sources: &Sources, page: &mut Page<'_>) {
    let Some(index) = &sources.index else { return };
    let status = index.searcher().status();
    let gauges = [
        ("hopline_index_documents", "Journeys in the index.", status.docs),
        ("hopline_index_bytes", "Size of the index.", status.bytes),
        ("hopline_index_buckets", "Time buckets of the index.", status.buckets as u64),
        (
            "hopline_index_failing",
            "Whether the index cannot be written.",
            u64::from(index.failing().is_some()),
        ),
        (
            "hopline_index_shedding",
            "Whether journeys that worked are kept out of an index far behind.",
            u64::from(index.shedding()),
        ),
    ];
    for (name, help, value) in gauges {
        page.family(name, Kind::Gauge, help);
        page.sample(name, &[], value);
    }
}

fn exports(sources: &Sources, page: &mut Page<'_>) {
    let destinations = sources.exports.load();
    let families: [Kinded<Summary>; 7] = [
        (
            Kind::Gauge,
            ("hopline_export_up", "Whether the destination took the latest request.", |it| {
                f64::from(u8::from(it.state == export::State::Up))
            }),
        ),
        (
            Kind::Gauge,
            ("hopline_export_last_success_seconds", "When it took a request last.", |it| {
                it.last_success.map_or(0.0, |at| at.since(Nanos(0)).as_secs_f64())
            }),
        ),
        (
            Kind::Gauge,
            (
                "hopline_export_oldest_unsent_seconds",
                "Age of the oldest evidence that is on its way.",
                |it| it.oldest.as_secs_f64(),
            ),
        ),
        (
            Kind::Counter,
            ("hopline_export_bytes_total", "Bytes sent, as they were on the wire.", |it| {
                it.bytes as f64
            }),
        ),
        (
            Kind::Counter,
            ("hopline_export_requests_total", "Requests that it decided on.", |it| {
                it.requests as f64
            }),
        ),
        (
            Kind::Counter,
            ("hopline_export_retries_total", "Requests that were sent again.", |it| {
                it.retries as f64
            }),
        ),
        (
            Kind::Counter,
            ("hopline_export_warnings_total", "Requests that it took with a warning.", |it| {
                it.warnings as f64
            }),
        ),
    ];
    for (kind, (name, help, count)) in families {
        page.family(name, kind, help);
        for export in destinations.iter() {
            let value = count(&export.health.summary());
            page.sample(name, &[("destination", &export.name)], value);
        }
    }
}

fn symbols(sources: &Sources, page: &mut Page<'_>) {
    let name = "hopline_symbols";
    page.family(name, Kind::Gauge, "Names in the table of symbols.");
    page.sample(name, &[], sources.symbols.len());
    let name = "hopline_symbols_overflowed_total";
    page.family(name, Kind::Counter, "Names that came after the table was full.");
    page.sample(name, &[], sources.symbols.overflowed());
}
