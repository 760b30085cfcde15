//! Prometheus text, version 0.0.4.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::fmt::{self, Write as _};

/// Writes families and samples to the end of a text.
///
/// Names are the program's own and go out as they are; label values and help come from anywhere
/// and are escaped. All samples of a family follow its header, as the format asks.
#[derive(Debug)]
pub struct Page<'a> {
    text: &'a mut String,
}

/// What sort of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until a restart.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, a sum and a count.
    Histogram,
}

/// The value of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A whole number, written with all its digits.
    Whole(u64),
    /// Any number.
    Float(f64),
    /// Nanoseconds, written as seconds with all their digits.
    Nanos(u128),
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl<'a> Page<'a> {
    /// A page that is appended to `text`.
    pub fn new(text: &'a mut String) -> Self {
        Self { text }
    }

    /// The header of a family.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        self.push("# HELP ");
        self.push(name);
        self.push(" ");
        escape(help, Quotes::Stay, self.text);
        self.push("\n# TYPE ");
        self.push(name);
        self.push(" ");
        self.push(kind.name());
        self.push("\n");
    }

    /// One sample: a line.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Into<Value>) {
        self.push(name);
        let mut before = "{";
        for (label, text) in labels {
            self.push(before);
            self.push(label);
            self.push("=\"");
            escape(text, Quotes::Escaped, self.text);
            self.push("\"");
            before = ",";
        }
        self.push(if labels.is_empty() { " " } else { "} " });
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{}", value.into());
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECOND: u128 = 1_000_000_000;
        match *self {
            Self::Whole(number) => write!(f, "{number}"),
            Self::Nanos(nanos) => write!(f, "{}.{:09}", nanos / SECOND, nanos % SECOND),
            Self::Float(number) if number == f64::INFINITY => f.write_str("+Inf"),
            Self::Float(number) if number == f64::NEG_INFINITY => f.write_str("-Inf"),
            Self::Float(number) => write!(f, "{number}"),
        }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Whole(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

/// Quotes end a label value, but not a help text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Escaped,
    Stay,
}

fn escape(text: &str, quotes: Quotes, out: &mut String) {
    for piece in text.split_inclusive(['\\', '\n', '"']) {
        let plain = piece.strip_suffix(['\\', '\n', '"']).unwrap_or(piece);
        out.push_str(plain);
        match piece.as_bytes().last() {
            Some(b'\\') => out.push_str("\\\\"),
            Some(b'\n') => out.push_str("\\n"),
            Some(b'"') if quotes == Quotes::Escaped => out.push_str("\\\""),
            Some(b'"') => out.push('"'),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::proptest;

    use super::*;

    fn line(text: &str) -> String {
        let mut out = String::new();
        Page::new(&mut out).sample("m", &[("a", text)], 1_u64);
        out
    }

    /// A reader of its own, so that the writer is not its own judge.
    fn read_back(line: &str) -> Option<String> {
        let mut rest = line.strip_prefix("m{a=\"")?.chars();
        let mut text = String::new();
        loop {
            match rest.next()? {
                '"' => break,
                '\n' => return None,
                '\\' => match rest.next()? {
                    'n' => text.push('\n'),
                    escaped @ ('\\' | '"') => text.push(escaped),
                    _ => return None,
                },
                plain => text.push(plain),
            }
        }
        (rest.as_str() == "} 1\n").then_some(text)
    }

    #[test]
    fn quotes_newlines_and_backslashes_stay_inside_their_label() {
        assert_eq!(line("a\"} 1\nforged{b=\"\\"), "m{a=\"a\\\"} 1\\nforged{b=\\\"\\\\\"} 1\n");
    }

    #[test]
    fn a_family_says_what_it_is_in_two_lines() {
        let mut out = String::new();
        Page::new(&mut out).family("m", Kind::Gauge, "A \"help\"\nof \\ two lines.");
        assert_eq!(out, "# HELP m A \"help\"\\nof \\\\ two lines.\n# TYPE m gauge\n");
    }

    #[test]
    fn values_are_written_with_all_their_digits() {
        let values: [(Value, &str); 7] = [
            (Value::from(u64::MAX), "18446744073709551615"),
            (Value::from(7_usize), "7"),
            (Value::Nanos(1_000_000_001), "1.000000001"),
            (Value::from(0.25), "0.25"),
            (Value::from(f64::INFINITY), "+Inf"),
            (Value::from(f64::NEG_INFINITY), "-Inf"),
            (Value::from(f64::NAN), "NaN"),
        ];
        for (value, text) in values {
            assert_eq!(value.to_string(), text);
        }
    }

    #[test]
    fn a_sample_without_labels_has_no_braces() {
        let mut out = String::new();
        Page::new(&mut out).sample("m", &[], 3_u64);
        assert_eq!(out, "m 3\n");
    }

    proptest! {
        #[test]
        fn any_label_value_is_read_back_from_one_line(text in any::<String>()) {
            assert_eq!(read_back(&line(&text)), Some(text));
        }

        #[test]
        fn any_label_value_of_special_characters_is_read_back(text in "[\\\\\"\na]{0,20}") {
            assert_eq!(read_back(&line(&text)), Some(text));
        }
    }
}
