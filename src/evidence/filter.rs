//! What a query asks of a journey, in one form for every store.
//!
//! `query` parses text into it; `index` lowers it to its engine.

use std::ops::Bound;

/// A condition on a journey.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Every journey.
    All,
    /// All of them hold.
    And(Vec<Self>),
    /// At least one holds.
    Or(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// The full text has this word.
    Word(String),
    /// The full text has a word that begins so.
    Prefix(String),
    /// The full text has these words in this order.
    Phrase(Vec<String>),
    /// A field compares so.
    Field {
        /// The field's canonical name.
        name: &'static str,
        /// How it compares.
        is: Comparison,
    },
}

/// How a field compares.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// Has this value among its values.
    Equal(Literal),
    /// Has a text value that begins so.
    StartsWith(String),
    /// Has a value in this range.
    Within(Bound<u64>, Bound<u64>),
    /// Has any value.
    Exists,
}

/// A value in a query, typed by its field.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A whole value, not analysed.
    Text(String),
    /// A number: nanoseconds, a status code, a count.
    Number(u64),
    /// An id of 128 bits.
    Id(u128),
    /// Yes or no.
    Flag(bool),
}
