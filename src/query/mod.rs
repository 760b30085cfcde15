//! Query: one language for every question.
//!
//! In: text such as `svc:cart status:5xx -route:/health* "card declined"`. Out: a
//! [`crate::evidence::Filter`], or an [`Error`] that says where and what to write instead; and,
//! through [`search()`], one page of journeys. Holds nothing.

mod cursor;
mod field;
mod lexer;
mod parser;
mod print;
mod render;
mod search;
#[cfg(test)]
mod tests;
mod value;

pub use parser::parse;
pub use print::Canonical;
pub use render::render;
pub use search::{Answer, Ask, Failure, search};

/// Why a query means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The byte at which it went wrong.
    pub at: usize,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Error {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
