use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::wire::arbitrary;

#[test]
fn a_number_is_read_as_it_was_written() {
    for number in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
        let mut out = Vec::new();
        write_varint(&mut out, number);
        assert_eq!(out.len(), encoded_len(number));
        assert_eq!(read_varint(&out), Ok((number, out.len())));
    }
}

#[test]
fn a_number_of_more_than_64_bits_is_overlong() {
    assert_eq!(read_varint(&[0xff; 10]), Err(Malformed::Overlong));
    assert_eq!(read_varint(&[0xff; 9]), Err(Malformed::Truncated));
}

#[test]
fn a_length_past_the_end_is_truncated() {
    let mut fields = Fields::new(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]);
    assert_eq!(fields.next(), Some(Err(Malformed::Truncated)));
    assert_eq!(fields.next(), None);
}

#[test]
fn a_group_is_passed_over_whole() {
    // Group 3 holds field 1; then comes field 2.
    let bytes = [0x1b, 0x08, 5, 0x1c, 0x10, 7];
    let numbers: Vec<_> = Fields::new(&bytes).map(|field| field.unwrap().number).collect();
    assert_eq!(numbers, [3, 2]);
}

#[test]
fn nested_groups_do_not_exhaust_the_stack() {
    let bytes = vec![0x1b; 1_000_000];
    assert_eq!(Fields::new(&bytes).next(), Some(Err(Malformed::Depth)));
}

#[test]
fn a_string_that_is_not_utf8_is_malformed_however_it_is_read() {
    for (text, is_utf8) in
        [("plain".as_bytes(), true), ("größe".as_bytes(), true), (&[0xff], false)]
    {
        let bytes = [&[0x0a, u8::try_from(text.len()).unwrap()], text].concat();
        let field = Fields::new(&bytes).next().unwrap().unwrap();
        let wrong = Err(Malformed::Utf8(1));
        assert_eq!(field.utf8(), if is_utf8 { Ok(text) } else { wrong });
        assert_eq!(field.text().map(str::as_bytes), field.utf8());
    }
}

/// What the hot path reads of a span, by field number.
#[derive(Debug, Default, PartialEq)]
struct Read {
    ids: [Vec<u8>; 3],
    name: String,
    times: [u64; 2],
    attributes: Vec<String>,
    status: u64,
}

fn read(span: &[u8]) -> Read {
    let mut out = Read::default();
    for field in Fields::new(span) {
        let field = field.unwrap();
        match field.number {
            1 => out.ids[0] = field.bytes().unwrap().to_vec(),
            2 => out.ids[1] = field.bytes().unwrap().to_vec(),
            4 => out.ids[2] = field.bytes().unwrap().to_vec(),
            5 => field.text().unwrap().clone_into(&mut out.name),
            7 => out.times[0] = field.number().unwrap(),
            8 => out.times[1] = field.number().unwrap(),
            9 => {
                let pair = Fields::new(field.bytes().unwrap());
                let key = pair.map(Result::unwrap).find(|it| it.number == 1);
                out.attributes.push(key.map_or("", |it| it.text().unwrap()).to_owned());
            }
            15 => {
                let status = Fields::new(field.bytes().unwrap());
                let code = status.map(Result::unwrap).find(|it| it.number == 3);
                out.status = code.map_or(0, |it| it.number().unwrap());
            }
            _ => {}
        }
    }
    out
}

fn expected(span: &Span) -> Read {
    Read {
        ids: [span.trace_id.clone(), span.span_id.clone(), span.parent_span_id.clone()],
        name: span.name.clone(),
        times: [span.start_time_unix_nano, span.end_time_unix_nano],
        attributes: span.attributes.iter().map(|it| it.key.clone()).collect(),
        status: span.status.as_ref().map_or(0, |it| u64::try_from(it.code).unwrap()),
    }
}

/// The spans of a request as [`item`] cuts them out.
fn spans(request: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut visit = |prefix: usize, _: std::ops::Range<usize>| {
        out.push(item(request, u32::try_from(prefix).unwrap()).unwrap().to_vec());
    };
    walk(request, Message::TracesRequest, 0..request.len(), &mut visit);
    out
}

fn walk(
    bytes: &[u8],
    message: Message,
    content: std::ops::Range<usize>,
    visit: &mut dyn FnMut(usize, std::ops::Range<usize>),
) {
    for field in Fields::new(&bytes[content.clone()]).map(Result::unwrap) {
        let Role::Into(inner) = role(message, field.number) else { continue };
        let end = content.start + field.end;
        let inside = end - field.bytes().unwrap().len()..end;
        if inner == Message::Span {
            visit(content.start + field.body, inside);
        } else {
            walk(bytes, inner, inside, visit);
        }
    }
}

fn added() -> KeyValue {
    let value = Some(AnyValue { value: Some(Any::StringValue("v".repeat(200))) });
    KeyValue { key: "hopline.added".to_owned(), value, ..KeyValue::default() }
}

/// Renames each span, takes its attributes out, adds one: by splice.
fn spliced(bytes: &Bytes, name: &str) -> Bytes {
    let mut splice = Splice::new();
    edit(bytes, Message::TracesRequest, 0..bytes.len(), name, &mut splice);
    splice.finish(bytes).unwrap()
}

fn edit(
    bytes: &[u8],
    message: Message,
    content: std::ops::Range<usize>,
    name: &str,
    splice: &mut Splice,
) {
    for field in Fields::new(&bytes[content.clone()]).map(Result::unwrap) {
        let start = content.start + field.start;
        let end = content.start + field.end;
        match (message, field.number) {
            (Message::Span, 5) => {
                let old = end - field.bytes().unwrap().len()..end;
                splice.replace(content.start + field.body, old, name.as_bytes());
            }
            (Message::Span, 9) => splice.remove(start..end),
            _ => {
                if let Role::Into(inner) = role(message, field.number) {
                    let inside = end - field.bytes().unwrap().len()..end;
                    splice.enter(content.start + field.body, inside.clone());
                    edit(bytes, inner, inside, name, splice);
                    splice.leave();
                }
            }
        }
    }
    if message == Message::Span {
        let mut field = vec![0x4a];
        let pair = added().encode_to_vec();
        write_varint(&mut field, pair.len() as u64);
        field.extend_from_slice(&pair);
        splice.insert(content.end, &field);
    }
}

/// The same by decode, edit, encode.
fn edited(mut request: ExportTraceServiceRequest, name: &str) -> ExportTraceServiceRequest {
    let resources = request.resource_spans.iter_mut();
    for span in resources.flat_map(|it| &mut it.scope_spans).flat_map(|it| &mut it.spans) {
        // A default value is not on the wire, so there is nothing to replace.
        if !span.name.is_empty() {
            name.clone_into(&mut span.name);
        }
        span.attributes = vec![added()];
    }
    request
}

/// Removes each span with an odd kind, after edits that are rolled back; gives some of the others
/// an attribute, so that outer messages are edited before, between, after or not at all.
fn thinned(bytes: &Bytes, adds: fn(i32) -> bool) -> Bytes {
    let mut splice = Splice::new();
    thin(bytes, Message::TracesRequest, 0..bytes.len(), adds, &mut splice);
    splice.finish(bytes).unwrap()
}

fn thin(
    bytes: &[u8],
    message: Message,
    content: std::ops::Range<usize>,
    adds: fn(i32) -> bool,
    splice: &mut Splice,
) {
    for field in Fields::new(&bytes[content.clone()]).map(Result::unwrap) {
        let Role::Into(inner) = role(message, field.number) else { continue };
        let (start, end) = (content.start + field.start, content.start + field.end);
        let inside = end - field.bytes().unwrap().len()..end;
        let mark = splice.mark();
        splice.enter(content.start + field.body, inside.clone());
        if inner != Message::Span {
            thin(bytes, inner, inside, adds, splice);
            splice.leave();
            continue;
        }
        let kind = Span::decode(&bytes[inside.clone()]).unwrap().kind;
        if kind % 2 == 1 {
            edit(bytes, inner, inside, "goes", splice);
            if kind == 1 {
                splice.leave();
            }
            splice.roll_back(mark);
            splice.remove(start..end);
            continue;
        }
        if adds(kind) {
            edit(bytes, inner, inside, "stays", splice);
        }
        splice.leave();
    }
}

proptest! {
    #[test]
    fn a_short_field_is_what_the_iterator_would_have_given(
        bytes in prop::collection::vec(prop_oneof![Just(0x4a), 0_u8..6, 0x7e_u8..0x82], 0..20),
    ) {
        let (mut short, mut fields) = (Fields::new(&bytes), Fields::new(&bytes));
        while let Some(content) = short.next_short(0x4a) {
            let field = fields.next().unwrap().unwrap();
            prop_assert_eq!((field.number, field.value), (9, Value::Bytes(content)));
        }
        prop_assert!(short.eq(fields));
    }

    #[test]
    fn what_is_rolled_back_leaves_no_trace(request in arbitrary::traces(&arbitrary::any_text())) {
        let bytes = Bytes::from(request.encode_to_vec());
        for adds in [|_| true, |_| false, |kind| kind == 2] {
            let mut want = request.clone();
            let scopes = want.resource_spans.iter_mut().flat_map(|it| &mut it.scope_spans);
            for spans in scopes.map(|scope| &mut scope.spans) {
                spans.retain(|span| span.kind % 2 == 0);
                for span in spans.iter_mut().filter(|span| adds(span.kind)) {
                    if !span.name.is_empty() {
                        "stays".clone_into(&mut span.name);
                    }
                    span.attributes = vec![added()];
                }
            }
            let out = thinned(&bytes, adds);
            prop_assert_eq!(out.len(), want.encoded_len());
            prop_assert_eq!(ExportTraceServiceRequest::decode(out).unwrap(), want);
        }
    }

    #[test]
    fn reading_equals_prost(request in arbitrary::traces(&arbitrary::any_text())) {
        let bytes = request.encode_to_vec();
        let all = request.resource_spans.iter().flat_map(|it| &it.scope_spans);
        let want: Vec<_> = all.flat_map(|it| &it.spans).map(expected).collect();
        let got: Vec<_> = spans(&bytes).iter().map(|span| read(span)).collect();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn splicing_equals_decode_edit_encode(
        request in arbitrary::traces(&arbitrary::any_text()),
        name in ".{1,200}",
    ) {
        let bytes = Bytes::from(request.encode_to_vec());
        let out = spliced(&bytes, &name);
        let want = edited(request, &name);
        prop_assert_eq!(out.len(), want.encoded_len());
        prop_assert_eq!(ExportTraceServiceRequest::decode(out).unwrap(), want);
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Fields::new(&bytes).map(|field| field.map(|it| it.end)).max_by_key(Result::is_ok);
        let _ = item(&bytes, 3).is_ok();
    }
}
