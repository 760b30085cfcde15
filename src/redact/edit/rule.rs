//! One rule, as it is written.

use crate::wire::{Message, write_varint};

/// Whose attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Level {
    Resource,
    Scope,
    Span,
    Event,
    Link,
    Log,
    Point,
}

const LEVELS: usize = 7;

/// One of something for each level.
#[derive(Clone, Debug, Default)]
pub(super) struct PerLevel<T>([T; LEVELS]);

impl<T> PerLevel<T> {
    #[inline(always)]
    pub(super) fn of(&self, level: Level) -> &T {
        let [resource, scope, span, event, link, log, point] = &self.0;
        match level {
            Level::Resource => resource,
            Level::Scope => scope,
            Level::Span => span,
            Level::Event => event,
            Level::Link => link,
            Level::Log => log,
            Level::Point => point,
        }
    }

    #[inline(always)]
    pub(super) fn of_mut(&mut self, level: Level) -> &mut T {
        let [resource, scope, span, event, link, log, point] = &mut self.0;
        match level {
            Level::Resource => resource,
            Level::Scope => scope,
            Level::Span => span,
            Level::Event => event,
            Level::Link => link,
            Level::Log => log,
            Level::Point => point,
        }
    }
}

impl Level {
    pub(super) const NAMES: [(&str, Self); LEVELS] = [
        ("resource", Self::Resource),
        ("scope", Self::Scope),
        ("span", Self::Span),
        ("event", Self::Event),
        ("link", Self::Link),
        ("log", Self::Log),
        ("point", Self::Point),
    ];

    /// Whose attributes a message holds. Exemplars and a metric's metadata are nobody's.
    #[inline(always)]
    pub(super) fn of(message: Message) -> Option<Self> {
        match message {
            Message::Resource => Some(Self::Resource),
            Message::Scope => Some(Self::Scope),
            Message::Span => Some(Self::Span),
            Message::Event => Some(Self::Event),
            Message::Link => Some(Self::Link),
            Message::LogRecord => Some(Self::Log),
            Message::NumberPoint
            | Message::HistogramPoint
            | Message::ExponentialPoint
            | Message::SummaryPoint => Some(Self::Point),
            _ => None,
        }
    }

    /// Whether this level is `inner` itself, or lies round it.
    pub(super) fn reaches(self, inner: Self) -> bool {
        let is_around = match self {
            Self::Resource => true,
            Self::Scope => inner != Self::Resource,
            Self::Span => matches!(inner, Self::Event | Self::Link),
            Self::Event | Self::Link | Self::Log | Self::Point => false,
        };
        self == inner || is_around
    }

    pub(super) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, level)| *level == self).map_or("", |(name, _)| name)
    }
}

/// What is done to the attributes of one level.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    pub(super) level: Level,
    pub(super) action: Action,
    pub(super) condition: Option<Condition>,
}

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// A value from the settings is written.
    Write {
        how: How,
        key: String,
        value: Literal,
    },
    Remove {
        key: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Copy {
        from: Attribute,
        to: String,
    },
    Pseudonymise {
        key: String,
    },
}

/// When a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Where the key is missing.
    Add,
    /// Always.
    Set,
    /// Where the key is present.
    Change,
}

/// An attribute of the level itself, or of one round it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attribute {
    pub(super) level: Level,
    pub(super) key: String,
}

/// Where a rule applies.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    pub(super) of: Attribute,
    pub(super) test: Test,
}

/// What is asked of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Present,
    Missing,
    Equals(Literal),
}

/// A value in the settings.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Flag(bool),
    Number(i64),
    Float(f64),
}

impl Literal {
    /// The `AnyValue`.
    pub(super) fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Text(text) => return encoded_text(text.as_bytes()),
            Self::Flag(flag) => out.extend_from_slice(&[0x10, u8::from(*flag)]),
            Self::Number(number) => {
                out.push(0x18);
                write_varint(&mut out, number.cast_unsigned());
            }
            Self::Float(float) => {
                out.push(0x21);
                out.extend_from_slice(&float.to_le_bytes());
            }
        }
        out
    }
}

/// The `AnyValue` of a text.
pub(super) fn encoded_text(text: &[u8]) -> Vec<u8> {
    let mut out = vec![0x0a];
    write_varint(&mut out, text.len() as u64);
    out.extend_from_slice(text);
    out
}
