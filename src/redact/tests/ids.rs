//! A wrong id costs one span, or itself.

use super::*;

/// What became of one request.
struct Count {
    kept: u32,
    rejected: u64,
    mended: u64,
}

fn mend(id: &mut Vec<u8>, length: usize, count: &mut Count) {
    if !id.is_empty() && id.len() != length {
        id.clear();
        count.mended += 1;
    }
}

fn is_id(id: &[u8], length: usize) -> bool {
    id.len() == length && id.iter().any(|byte| *byte != 0)
}

/// What should become of it, by decoding.
trait Mend: Message + Default + Clone {
    const SIGNAL: Signal;

    fn mended(&mut self, count: &mut Count);
}

impl Mend for ExportTraceServiceRequest {
    const SIGNAL: Signal = Signal::Traces;

    fn mended(&mut self, count: &mut Count) {
        let scopes = self.resource_spans.iter_mut().flat_map(|it| &mut it.scope_spans);
        for spans in scopes.map(|it| &mut it.spans) {
            let all = spans.len();
            spans.retain(|span| is_id(&span.trace_id, 16) && is_id(&span.span_id, 8));
            count.rejected += (all - spans.len()) as u64;
            for span in spans {
                count.kept += 1;
                mend(&mut span.parent_span_id, 8, count);
                for link in &mut span.links {
                    mend(&mut link.trace_id, 16, count);
                    mend(&mut link.span_id, 8, count);
                }
            }
        }
    }
}

impl Mend for ExportLogsServiceRequest {
    const SIGNAL: Signal = Signal::Logs;

    fn mended(&mut self, count: &mut Count) {
        let scopes = self.resource_logs.iter_mut().flat_map(|it| &mut it.scope_logs);
        for record in scopes.flat_map(|it| &mut it.log_records) {
            count.kept += 1;
            mend(&mut record.trace_id, 16, count);
            mend(&mut record.span_id, 8, count);
        }
    }
}

impl Mend for ExportMetricsServiceRequest {
    const SIGNAL: Signal = Signal::Metrics;

    fn mended(&mut self, count: &mut Count) {
        let scopes = self.resource_metrics.iter_mut().flat_map(|it| &mut it.scope_metrics);
        for data in scopes.flat_map(|it| &mut it.metrics).filter_map(|it| it.data.as_mut()) {
            for exemplar in exemplars(data, count) {
                mend(&mut exemplar.trace_id, 16, count);
                mend(&mut exemplar.span_id, 8, count);
            }
        }
    }
}

fn exemplars<'a>(data: &'a mut Data, count: &mut Count) -> Vec<&'a mut Exemplar> {
    let mut out = Vec::new();
    match data {
        Data::Gauge(Gauge { data_points }) | Data::Sum(Sum { data_points, .. }) => {
            count.kept += u32::try_from(data_points.len()).unwrap();
            out.extend(data_points.iter_mut().flat_map(|it| &mut it.exemplars));
        }
        Data::Histogram(it) => {
            count.kept += u32::try_from(it.data_points.len()).unwrap();
            out.extend(it.data_points.iter_mut().flat_map(|it| &mut it.exemplars));
        }
        Data::ExponentialHistogram(it) => {
            count.kept += u32::try_from(it.data_points.len()).unwrap();
            out.extend(it.data_points.iter_mut().flat_map(|it| &mut it.exemplars));
        }
        Data::Summary(it) => count.kept += u32::try_from(it.data_points.len()).unwrap(),
    }
    out
}

/// Removal by splice while redacting equals removal by decoding, and redacting then.
fn is_mended<M: Mend>(request: &M) -> Result<(), TestCaseError> {
    let mut count = Count { kept: 0, rejected: 0, mended: 0 };
    let mut mended = request.clone();
    mended.mended(&mut count);
    let want = clean(&policy(), M::SIGNAL, &mended.encode_to_vec()).unwrap();
    let bytes = Bytes::from(request.encode_to_vec());

    let (got, tally) = policy().clean(head(M::SIGNAL), &bytes).unwrap();

    prop_assert_eq!(got.bytes(), want.bytes());
    prop_assert_eq!(got.head().items, count.kept);
    prop_assert_eq!((tally.rejected.total(), tally.mended), (count.rejected, count.mended));
    Ok(())
}

proptest! {
    #[test]
    fn a_wrong_id_costs_its_span_or_itself_and_nothing_else(
        traces in arbitrary::traces(&hostile()),
        logs in arbitrary::logs(&hostile()),
        metrics in arbitrary::metrics(&hostile()),
    ) {
        is_mended(&traces)?;
        is_mended(&logs)?;
        is_mended(&metrics)?;
    }
}

fn spans(ids: &[[&[u8]; 2]]) -> Bytes {
    let spans = ids.iter().map(|[trace, span]| Span {
        trace_id: trace.to_vec(),
        span_id: span.to_vec(),
        name: "mail ann@example.com".to_owned(),
        ..Span::default()
    });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    Bytes::from(ExportTraceServiceRequest { resource_spans }.encode_to_vec())
}

#[test]
fn each_rejected_span_is_counted_by_its_first_wrong_id() {
    let (trace, span, short, zeros) = ([1; 16], [2; 8], [3; 3], [0; 16]);
    let bytes =
        spans(&[[&trace, &span], [&trace, &short], [&short, &short], [&zeros, &span], [&[], &[]]]);

    let (clean, tally) = policy().clean(head(Signal::Traces), &bytes).unwrap();

    assert_eq!(clean.head().items, 1);
    assert_eq!(tally.rejected, Rejected { trace_id: 3, span_id: 1, first: 2 });
    // What was hidden in the others went with them.
    assert_eq!(tally.by_form, 1);
}

#[test]
fn a_request_of_which_every_span_is_rejected_has_no_items() {
    let (clean, tally) =
        policy().clean(head(Signal::Traces), &spans(&[[&[], &[]], [&[], &[]]])).unwrap();
    assert_eq!((clean.head().items, tally.rejected.total()), (0, 2));
}

#[test]
fn ids_are_checked_even_when_nothing_is_hidden() {
    let policy = Policy::new(&Settings { enabled: false, ..settings() }).unwrap();
    let (clean, tally) =
        policy.clean(head(Signal::Traces), &spans(&[[&[1; 16], &[2; 8]], [&[], &[]]])).unwrap();
    assert_eq!((clean.head().items, tally.rejected.total()), (1, 1));
}
