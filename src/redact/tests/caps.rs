//! What is too long or too many is cut, and says so.

use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Summary, SummaryDataPoint,
};

use super::*;

/// Small enough that nearly every request is over some of them.
fn tiny() -> Caps {
    Caps {
        attributes_max: 2,
        key_bytes_max: 40,
        value_bytes_max: 40,
        body_bytes_max: 48,
        elements_max: 1,
        events_max: 1,
        links_max: 1,
    }
}

fn capped() -> Policy {
    Policy::new(&Settings { caps: tiny(), ..settings() }).unwrap()
}

/// Texts without secrets: short ones, long ones, and those that are just right.
fn plain() -> Texts {
    prop_oneof!["[a-zé ]{0,12}", "[a-zé€]{36,44}", "[a-zé]{60,90}"].boxed()
}

fn shortened(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let fits = |at: &usize| text.is_char_boundary(*at);
        let end = (0..=bytes_max - "...[cut]".len()).rev().find(fits).unwrap();
        text.truncate(end);
        text.push_str("...[cut]");
    }
}

fn shorten(value: &mut AnyValue, bytes_max: usize) {
    match &mut value.value {
        Some(Value::StringValue(text)) => shortened(text, bytes_max),
        Some(Value::BytesValue(bytes)) => {
            let mut text = String::from_utf8(bytes.clone()).unwrap();
            shortened(&mut text, bytes_max);
            *bytes = text.into_bytes();
        }
        Some(Value::ArrayValue(array)) => {
            array.values.truncate(tiny().elements_max);
            array.values.iter_mut().for_each(|it| shorten(it, bytes_max));
        }
        Some(Value::KvlistValue(list)) => pairs(&mut list.values, tiny().elements_max, bytes_max),
        _ => {}
    }
}

fn pairs(pairs: &mut Vec<KeyValue>, count_max: usize, bytes_max: usize) {
    pairs.retain(|pair| pair.key.len() <= tiny().key_bytes_max);
    pairs.truncate(count_max);
    pairs.iter_mut().filter_map(|it| it.value.as_mut()).for_each(|it| shorten(it, bytes_max));
}

fn attributes(attributes: &mut Vec<KeyValue>, dropped: &mut u32) {
    let all = attributes.len();
    pairs(attributes, tiny().attributes_max, tiny().value_bytes_max);
    *dropped = dropped.saturating_add(u32::try_from(all - attributes.len()).unwrap());
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a mut String>) {
    texts.into_iter().for_each(|text| shortened(text, tiny().value_bytes_max));
}

fn resource(resource: Option<&mut Resource>) {
    let Some(resource) = resource else { return };
    attributes(&mut resource.attributes, &mut resource.dropped_attributes_count);
    for entity in &mut resource.entity_refs {
        texts([&mut entity.schema_url, &mut entity.r#type]);
        texts(entity.id_keys.iter_mut().chain(&mut entity.description_keys));
    }
}

fn scope(scope: Option<&mut InstrumentationScope>) {
    let Some(scope) = scope else { return };
    texts([&mut scope.name, &mut scope.version]);
    attributes(&mut scope.attributes, &mut scope.dropped_attributes_count);
}

fn span(span: &mut Span) {
    texts([&mut span.name, &mut span.trace_state]);
    texts(span.status.as_mut().map(|status| &mut status.message));
    attributes(&mut span.attributes, &mut span.dropped_attributes_count);
    let over = |count: usize| u32::try_from(count.saturating_sub(1)).unwrap();
    span.dropped_events_count = span.dropped_events_count.saturating_add(over(span.events.len()));
    span.dropped_links_count = span.dropped_links_count.saturating_add(over(span.links.len()));
    span.events.truncate(1);
    span.links.truncate(1);
    for event in &mut span.events {
        texts([&mut event.name]);
        attributes(&mut event.attributes, &mut event.dropped_attributes_count);
    }
    for link in &mut span.links {
        texts([&mut link.trace_state]);
        attributes(&mut link.attributes, &mut link.dropped_attributes_count);
    }
}

/// Two requests in one, with counts of what their senders dropped: more to cut.
fn doubled(mut traces: ExportTraceServiceRequest, counts: [u32; 3]) -> ExportTraceServiceRequest {
    for resource in &mut traces.resource_spans {
        for span in resource.scope_spans.iter_mut().flat_map(|it| &mut it.spans) {
            (span.trace_id, span.span_id, span.parent_span_id) =
                (vec![1; 16], vec![2; 8], Vec::new());
            let (events, links) = (span.events.clone(), span.links.clone());
            span.events.extend(events);
            span.links.extend(links);
            for link in &mut span.links {
                (link.trace_id, link.span_id) = (Vec::new(), Vec::new());
            }
            [span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count] =
                counts;
        }
    }
    traces
}

fn is_idempotent(policy: &Policy, signal: Signal, bytes: &[u8]) -> Result<(), TestCaseError> {
    let once = clean(policy, signal, bytes).unwrap();
    let (twice, tally) = policy.clean(head(signal), once.bytes()).unwrap();
    prop_assert_eq!(once.bytes().as_ptr(), twice.bytes().as_ptr());
    prop_assert_eq!(tally, Tally::default());
    Ok(())
}

proptest! {
    #[test]
    fn cutting_equals_decode_cut_encode(
        traces in arbitrary::traces(&plain()),
        logs in arbitrary::logs(&plain()),
        counts in prop_oneof![Just([0; 3]), any::<[u32; 3]>()],
    ) {
        let mut traces = doubled(traces, counts);
        let got = clean(&capped(), Signal::Traces, &traces.encode_to_vec()).unwrap();
        for of_resource in &mut traces.resource_spans {
            texts([&mut of_resource.schema_url]);
            resource(of_resource.resource.as_mut());
            for of_scope in &mut of_resource.scope_spans {
                texts([&mut of_scope.schema_url]);
                scope(of_scope.scope.as_mut());
                of_scope.spans.iter_mut().for_each(span);
            }
        }
        prop_assert_eq!(ExportTraceServiceRequest::decode(got.bytes().as_ref()).unwrap(), traces);

        let mut logs = logs;
        let got = clean(&capped(), Signal::Logs, &logs.encode_to_vec()).unwrap();
        for of_resource in &mut logs.resource_logs {
            texts([&mut of_resource.schema_url]);
            resource(of_resource.resource.as_mut());
            for of_scope in &mut of_resource.scope_logs {
                texts([&mut of_scope.schema_url]);
                scope(of_scope.scope.as_mut());
                for record in &mut of_scope.log_records {
                    texts([&mut record.severity_text, &mut record.event_name]);
                    attributes(&mut record.attributes, &mut record.dropped_attributes_count);
                    let body = tiny().body_bytes_max;
                    record.body.iter_mut().for_each(|it| shorten(it, body));
                    for (id, length) in [(&mut record.trace_id, 16), (&mut record.span_id, 8)] {
                        id.truncate(if id.len() == length { length } else { 0 });
                    }
                }
            }
        }
        prop_assert_eq!(ExportLogsServiceRequest::decode(got.bytes().as_ref()).unwrap(), logs);
    }

    #[test]
    fn what_was_cut_and_redacted_once_stays_as_it_is(
        traces in arbitrary::traces(&hostile()),
        logs in arbitrary::logs(&hostile()),
        metrics in arbitrary::metrics(&hostile()),
    ) {
        let pseudonyms = Settings { action: Action::Pseudonym([7; 32]), ..settings() };
        let pseudonyms = Policy::new(&Settings { caps: tiny(), ..pseudonyms }).unwrap();
        for policy in [capped(), pseudonyms] {
            is_idempotent(&policy, Signal::Traces, &traces.encode_to_vec())?;
            is_idempotent(&policy, Signal::Logs, &logs.encode_to_vec())?;
            is_idempotent(&policy, Signal::Metrics, &metrics.encode_to_vec())?;
        }
    }

    #[test]
    fn a_secret_across_the_cut_does_not_survive_in_part(
        before in "[a-z ]{0,40}[ ]",
        after in "[ ][a-z]{0,40}",
        secret in prop_oneof![
            Just("ANN.PLANTED@example.com"),
            Just("4111111111111111"),
            Just("password=SESAME-OPEN"),
            Just("Bearer OPEN.SESAME.42"),
            Just("https://x/?token=SESAME&cookie=OPEN"),
        ],
        key in prop_oneof![Just("note"), Just("url.full"), Just("url.query")],
    ) {
        let text = Value::StringValue(format!("{before}{secret}{after}"));
        let bytes = request(vec![attribute(key, text)]).encode_to_vec();

        let clean = clean(&capped(), Signal::Traces, &bytes).unwrap();

        let out = ExportTraceServiceRequest::decode(clean.bytes().as_ref()).unwrap();
        let span = &out.resource_spans[0].scope_spans[0].spans[0];
        let Some(Value::StringValue(text)) = span.attributes[0].value.clone().unwrap().value
        else { panic!("a text stays a text") };
        prop_assert!(text.len() <= tiny().value_bytes_max);
        for part in ["ANN", "PLA", "41", "SES", "OPE"] {
            prop_assert!(!text.contains(part), "{}", text);
        }
    }
}

#[test]
fn what_is_cut_is_counted_by_its_kind() {
    let attributes = ["a", "b", "c", "d"].map(|key| attribute(key, Value::IntValue(1)));
    let mut traces = request(attributes.to_vec());
    let span = &mut traces.resource_spans[0].scope_spans[0].spans[0];
    span.attributes[0].key = "k".repeat(41);
    span.name = "n".repeat(41);
    span.events = vec![Event::default(); 4];
    span.links = vec![Link::default(); 3];
    let bytes = Bytes::from(traces.encode_to_vec());

    let (_, tally) = capped().clean(head(Signal::Traces), &bytes).unwrap();

    let counts = Cut::ALL.map(|kind| tally.cut.of(kind));
    assert_eq!(counts, [1, 1, 1, 0, 3, 2, 0]);
}

/// A metric of every sort, each with one point, which has one exemplar where it can.
fn every_sort(attributes: &[KeyValue]) -> ExportMetricsServiceRequest {
    let attributes = attributes.to_vec();
    let filtered_attributes = attributes.clone();
    let exemplars = vec![Exemplar { filtered_attributes, ..Exemplar::default() }];
    let number = NumberDataPoint {
        attributes: attributes.clone(),
        exemplars: exemplars.clone(),
        ..NumberDataPoint::default()
    };
    let histogram = HistogramDataPoint {
        attributes: attributes.clone(),
        exemplars: exemplars.clone(),
        ..HistogramDataPoint::default()
    };
    let exponential = ExponentialHistogramDataPoint {
        attributes: attributes.clone(),
        exemplars,
        ..ExponentialHistogramDataPoint::default()
    };
    let summary = SummaryDataPoint { attributes, ..SummaryDataPoint::default() };
    let data = [
        Data::Gauge(Gauge { data_points: vec![number.clone()] }),
        Data::Sum(Sum { data_points: vec![number], ..Sum::default() }),
        Data::Histogram(Histogram { data_points: vec![histogram], ..Histogram::default() }),
        Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![exponential],
            ..ExponentialHistogram::default()
        }),
        Data::Summary(Summary { data_points: vec![summary] }),
    ];
    let metrics = data.map(|data| Metric { data: Some(data), ..Metric::default() }).to_vec();
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

#[test]
fn points_and_exemplars_cannot_say_what_they_lack_so_it_is_counted() {
    let long = "k".repeat(41);
    let all = [&*long, "a", "b", "c"].map(|key| attribute(key, Value::IntValue(1)));
    let bytes = Bytes::from(every_sort(&all).encode_to_vec());

    let (clean, tally) = capped().clean(head(Signal::Metrics), &bytes).unwrap();

    let out = ExportMetricsServiceRequest::decode(clean.bytes().as_ref()).unwrap();
    assert_eq!(out, every_sort(&all[1..3]));
    let counts = Cut::ALL.map(|kind| tally.cut.of(kind));
    assert_eq!(counts, [9, 9, 0, 0, 0, 0, 0], "five points and four exemplars");
}

#[test]
fn a_secret_that_is_too_long_is_hidden_and_not_cut() {
    let array = |count| ArrayValue {
        values: vec![AnyValue { value: Some(Value::StringValue("x".repeat(50))) }; count],
    };
    let bytes = request(vec![attribute("cookie", Value::ArrayValue(array(9)))]).encode_to_vec();

    let (clean, tally) = capped().clean(head(Signal::Traces), &Bytes::from(bytes)).unwrap();

    let out = ExportTraceServiceRequest::decode(clean.bytes().as_ref()).unwrap();
    let hidden = &out.resource_spans[0].scope_spans[0].spans[0].attributes[0];
    assert_eq!(*hidden, attribute("cookie", Value::StringValue("****".to_owned())));
    assert_eq!(tally, Tally { by_key: 1, ..Tally::default() });
}

#[test]
fn caps_hold_even_when_nothing_is_hidden() {
    let policy = Settings { enabled: false, caps: tiny(), ..settings() };
    let text = Value::StringValue(format!("ann@example.com {}", "x".repeat(50)));
    let bytes = request(vec![attribute("note", text)]).encode_to_vec();

    let clean = clean(&Policy::new(&policy).unwrap(), Signal::Traces, &bytes).unwrap();

    let out = ExportTraceServiceRequest::decode(clean.bytes().as_ref()).unwrap();
    let cut = Value::StringValue("ann@example.com xxxxxxxxxxxxxxxx...[cut]".to_owned());
    let span = &out.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.attributes, [attribute("note", cut)]);
}

/// A log record whose body is `depth` arrays round a text, and another record.
fn nested(depth: usize, inner: &[u8]) -> Bytes {
    let wrap = |tag: u8, inner: &[u8]| {
        let mut out = vec![tag];
        crate::wire::write_varint(&mut out, inner.len() as u64);
        [&out, inner].concat()
    };
    let arrays = (0..depth).fold(inner.to_vec(), |value, _| wrap(0x2a, &wrap(0x0a, &value)));
    let records = [wrap(0x12, &wrap(0x2a, &arrays)), wrap(0x12, &wrap(0x1a, b"INFO"))].concat();
    Bytes::from(wrap(0x0a, &wrap(0x12, &records)))
}

#[test]
fn sixty_four_nested_arrays_are_taken_as_they_are() {
    let bytes = nested(64, b"\x0a\x04deep");
    let (clean, tally) = policy().clean(head(Signal::Logs), &bytes).unwrap();
    assert_eq!(clean.bytes().as_ptr(), bytes.as_ptr());
    assert_eq!(tally, Tally::default());
}

#[test]
fn what_is_nested_deeper_is_marked_and_the_rest_of_the_request_stays() {
    for depth in [65, 66, 5_000] {
        let (clean, tally) =
            policy().clean(head(Signal::Logs), &nested(depth, b"\x0a\x04deep")).unwrap();
        assert_eq!(clean.bytes(), &nested(64, b"\x0a\x08...[cut]"), "{depth}");
        assert_eq!(tally.cut.of(Cut::Depth), 1);
        assert_eq!(clean.head().items, 2);
    }
}
