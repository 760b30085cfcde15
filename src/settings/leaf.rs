//! One value of the settings, as it was given.

use std::collections::BTreeMap;
use std::fmt;

use config::{Value, ValueKind};

/// One value, as it was given. From the environment and `--set`, all are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// No value, or an empty group.
    Nothing,
    Flag(bool),
    /// A number, not yet read: its text.
    Number(String),
    Text(String),
    List(Vec<Self>),
}

impl Leaf {
    /// The value as text, if it is one value.
    pub(super) fn scalar(&self) -> Option<String> {
        match self {
            Self::Flag(flag) => Some(flag.to_string()),
            Self::Number(text) | Self::Text(text) => Some(text.clone()),
            Self::Nothing | Self::List(_) => None,
        }
    }

    /// The value as a list of texts. A text is read as `a, b` or `[a, b]`.
    pub(super) fn texts(&self) -> Option<Vec<String>> {
        match self {
            Self::List(items) => items.iter().map(Self::text).collect(),
            Self::Text(text) => Some(split(text)),
            Self::Nothing | Self::Flag(_) | Self::Number(_) => None,
        }
    }

    /// The value as text, if it was given as text: `0123` without quotes is a number to YAML and
    /// would lose its zero.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(text) => f.write_str(text),
            Self::Text(text) if is_plain(text) => f.write_str(text),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(Self::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
        }
    }
}

/// All values of a table, each under its full key. A key that is given twice, as `a: {b: 1}` and
/// as `a.b: 2`, is the error: neither comes first.
pub(super) fn flatten(
    table: impl IntoIterator<Item = (String, Value)>,
) -> Result<BTreeMap<String, Leaf>, String> {
    let mut found = BTreeMap::new();
    let mut open: Vec<_> = table.into_iter().collect();
    while let Some((key, value)) = open.pop() {
        match value.kind {
            ValueKind::Table(inner) if !inner.is_empty() => {
                let below = |(name, value)| (format!("{key}.{name}"), value);
                open.extend(inner.into_iter().map(below));
            }
            _ if found.contains_key(&key) => return Err(key),
            kind => drop(found.insert(key, leaf(kind))),
        }
    }
    Ok(found)
}

fn leaf(kind: ValueKind) -> Leaf {
    match kind {
        ValueKind::Nil | ValueKind::Table(_) => Leaf::Nothing,
        ValueKind::Boolean(flag) => Leaf::Flag(flag),
        ValueKind::String(text) => Leaf::Text(text),
        ValueKind::Array(items) => {
            Leaf::List(items.into_iter().map(|item| leaf(item.kind)).collect())
        }
        number => Leaf::Number(number.to_string()),
    }
}

fn split(text: &str) -> Vec<String> {
    let text = text.trim();
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let items = inner.unwrap_or(text).split(',').map(str::trim);
    items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.contains(char::is_control)
}
