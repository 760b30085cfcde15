//! The words of one evidence that a search finds it by.

use super::analyzer::head;
use crate::evidence::Kind;
use crate::normalize::tells_of_error;
use crate::wire::{ANY_VALUE_DEPTH_MAX, Fields, Malformed};

/// Appends the words of a message, one line each: names, bodies, status messages, and the
/// attributes that tell of an error. Stops once `out` has `bytes_max`.
///
/// # Errors
/// When the bytes are not the message that `kind` says.
pub(super) fn append(
    kind: Kind,
    message: &[u8],
    bytes_max: usize,
    out: &mut String,
) -> Result<(), Malformed> {
    let mut words = Words { out, bytes_max };
    match kind {
        Kind::Exemplar => Ok(()),
        Kind::Log | Kind::Access | Kind::Flow => words.record(kind, message),
        Kind::Internal | Kind::Server | Kind::Client | Kind::Producer | Kind::Consumer => {
            words.span(message)
        }
    }
}

/// Whether the value of a key has words to be found by.
type Wanted = fn(&[u8]) -> bool;

struct Words<'a> {
    out: &'a mut String,
    bytes_max: usize,
}

impl Words<'_> {
    fn span(&mut self, message: &[u8]) -> Result<(), Malformed> {
        for field in Fields::new(message) {
            let field = field?;
            match field.number {
                5 => self.line(field.text()?),
                9 => self.attribute(field.bytes()?, tells_of_error)?,
                11 => self.event(field.bytes()?)?,
                15 => self.status(field.bytes()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn record(&mut self, kind: Kind, message: &[u8]) -> Result<(), Malformed> {
        let wanted: Wanted = if kind == Kind::Access { tells_of_proxy } else { tells_of_error };
        for field in Fields::new(message) {
            let field = field?;
            match field.number {
                5 => self.any(field.bytes()?, 0)?,
                6 => self.attribute(field.bytes()?, wanted)?,
                12 => self.line(field.text()?),
                _ => {}
            }
        }
        Ok(())
    }

    fn event(&mut self, message: &[u8]) -> Result<(), Malformed> {
        for field in Fields::new(message) {
            let field = field?;
            match field.number {
                2 => self.line(field.text()?),
                3 => self.attribute(field.bytes()?, |_| true)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn status(&mut self, message: &[u8]) -> Result<(), Malformed> {
        for field in Fields::new(message) {
            let field = field?;
            if field.number == 2 {
                self.line(field.text()?);
            }
        }
        Ok(())
    }

    fn attribute(&mut self, pair: &[u8], wanted: Wanted) -> Result<(), Malformed> {
        let (mut key, mut value) = (&[] as &[u8], &[] as &[u8]);
        for field in Fields::new(pair) {
            let field = field?;
            match field.number {
                1 => key = field.bytes()?,
                2 => value = field.bytes()?,
                _ => {}
            }
        }
        if wanted(key) { self.any(value, 0) } else { Ok(()) }
    }

    fn any(&mut self, value: &[u8], depth: usize) -> Result<(), Malformed> {
        if depth > ANY_VALUE_DEPTH_MAX {
            return Err(Malformed::Depth);
        }
        for field in Fields::new(value) {
            let field = field?;
            match field.number {
                1 => self.line(field.text()?),
                5 => {
                    for inner in Fields::new(field.bytes()?) {
                        self.any(inner?.bytes()?, depth + 1)?;
                    }
                }
                6 => {
                    for pair in Fields::new(field.bytes()?) {
                        self.pair(pair?.bytes()?, depth + 1)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn pair(&mut self, pair: &[u8], depth: usize) -> Result<(), Malformed> {
        for field in Fields::new(pair) {
            let field = field?;
            match field.number {
                1 => self.line(field.text()?),
                2 => self.any(field.bytes()?, depth)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn line(&mut self, text: &str) {
        line(text, self.bytes_max, self.out);
    }
}

/// Appends one line. Names repeat within a journey, and once is enough to be found: a line that is
/// the last one already is not added again.
pub(super) fn line(text: &str, bytes_max: usize, out: &mut String) {
    let room = bytes_max.saturating_sub(out.len());
    if text.is_empty() || room == 0 || is_last(text, out) {
        return;
    }
    out.push_str(head(text, room));
    out.push('\n');
}

fn is_last(line: &str, out: &str) -> bool {
    let before = out.strip_suffix('\n').and_then(|out| out.strip_suffix(line));
    before.is_some_and(|before| before.is_empty() || before.ends_with('\n'))
}

fn tells_of_proxy(key: &[u8]) -> bool {
    const KEYS: [&str; 9] = [
        "path",
        "authority",
        "route_name",
        "upstream_cluster",
        "response_flags",
        "response_code_details",
        "connection_termination_details",
        "upstream_transport_failure_reason",
        "downstream_transport_failure_reason",
    ];
    KEYS.iter().any(|known| known.as_bytes() == key) || tells_of_error(key)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use opentelemetry_proto::tonic::trace::v1::span::Event;
    use opentelemetry_proto::tonic::trace::v1::{Span, Status};
    use proptest::prelude::*;
    use proptest::sample::select;
    use prost::Message as _;

    use super::*;
    use crate::evidence::Signal;
    use crate::normalize;
    use crate::wire::arbitrary::{self, Texts};
    use crate::wire::item;

    fn text(text: &str) -> AnyValue {
        AnyValue { value: Some(Value::StringValue(text.to_owned())) }
    }

    fn pair(key: &str, value: &str) -> KeyValue {
        KeyValue { key: key.to_owned(), value: Some(text(value)), ..KeyValue::default() }
    }

    fn words(kind: Kind, message: &[u8], bytes_max: usize) -> String {
        let mut out = String::new();
        append(kind, message, bytes_max, &mut out).unwrap();
        out
    }

    #[test]
    fn a_span_is_found_by_its_name_events_status_and_errors() {
        let event = Event {
            name: "exception".to_owned(),
            attributes: vec![pair("exception.message", "card processor timeout")],
            ..Event::default()
        };
        let span = Span {
            name: "POST /pay".to_owned(),
            attributes: vec![pair("error.type", "timeout"), pair("user", "ann")],
            events: vec![event],
            status: Some(Status { message: "gave up".to_owned(), code: 2 }),
            ..Span::default()
        };
        let found = words(Kind::Server, &span.encode_to_vec(), 1000);
        assert_eq!(found, "POST /pay\ntimeout\nexception\ncard processor timeout\ngave up\n");
    }

    fn any_key() -> Texts {
        const ERRORS: [&str; 5] = ["error", "error.type", "errors", "exception.message", "e"];
        prop_oneof![arbitrary::any_text(), select(&ERRORS).prop_map(str::to_owned)].boxed()
    }

    proptest! {
        /// What is found by its name alone is not read again.
        #[test]
        fn a_span_without_words_has_its_name_alone(
            request in arbitrary::traces(&any_key()),
        ) {
            let bytes = request.encode_to_vec();
            normalize::observe(Signal::Traces, &bytes, &mut |observed| {
                let found = words(observed.kind, item(&bytes, observed.offset).unwrap(), 1000);
                let mut name = String::new();
                line(observed.name, 1000, &mut name);
                assert!(observed.worded || found == name, "{found}");
            })
            .unwrap();
        }
    }

    #[test]
    fn a_line_that_is_the_last_is_not_added_again() {
        let mut out = String::new();
        for text in ["pay", "pay", "ay", "y", "ay", "ay", "", "ay"] {
            line(text, 100, &mut out);
        }
        assert_eq!(out, "pay\nay\ny\nay\n");
    }

    #[test]
    fn a_long_body_is_cut_at_a_character() {
        let record = LogRecord { body: Some(text("ääää")), ..LogRecord::default() };
        assert_eq!(words(Kind::Log, &record.encode_to_vec(), 5), "ää\n");
    }
}
