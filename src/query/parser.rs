//! Recursive descent from tokens to a filter.
//!
//! ```text
//! or     = and ( ("OR" | "||") and )*
//! and    = unary ( ("AND" | "&&")? unary )*
//! unary  = ("NOT" | "-" | "!") unary | "(" or ")" | clause
//! clause = word | word "*" | "*" | quoted | quoted "*" | field ":" value
//! value  = text | text "*" | "*" | compare text | "[" text "TO" text "]" | "IN" "[" text* "]"
//! ```

use std::ops::Bound;

use super::Error;
use super::field::{self, Field};
use super::lexer::{Compare, Token, What, tokens};
use super::value;
use crate::evidence::{Comparison, Filter, Literal};
use crate::index::Kind;

/// How deep parentheses and negations may nest.
const DEPTH_MAX: usize = 32;

/// What a query selects. The empty query selects everything.
pub fn parse(text: &str) -> Result<Filter, Error> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(Filter::All);
    }
    let mut parser = Parser { tokens: &tokens, next: 0, depth: 0, end: text.len() };
    let filter = parser.or()?;
    match parser.peek() {
        None => Ok(filter),
        Some(token) => Err(Error::new(token.at, "this parenthesis was not opened")),
    }
}

/// Whether a bare word means something other than itself.
pub(super) fn is_keyword(word: &str) -> bool {
    ["and", "or", "not", "&&", "||"].iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// Values, and the byte at which each begins.
type Values<'a> = Vec<(&'a str, usize)>;

struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    depth: usize,
    end: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<&'a Token> {
        let token = self.peek()?;
        self.next += 1;
        Some(token)
    }

    fn take_if(&mut self, wanted: impl Fn(&What) -> bool) -> bool {
        let found = self.peek().is_some_and(|token| wanted(&token.what));
        self.next += usize::from(found);
        found
    }

    /// Where the next token begins, or the query ends.
    fn at(&self) -> usize {
        self.peek().map_or(self.end, |token| token.at)
    }

    fn or(&mut self) -> Result<Filter, Error> {
        let mut parts = vec![self.and()?];
        while self.take_if(|what| is(what, &["or", "||"])) {
            parts.push(self.and()?);
        }
        Ok(one_or(parts, Filter::Or))
    }

    fn and(&mut self) -> Result<Filter, Error> {
        let mut parts = vec![self.unary()?];
        loop {
            let more = match self.peek().map(|token| &token.what) {
                None | Some(What::Close) => false,
                Some(what) => !is(what, &["or", "||"]),
            };
            if !more {
                return Ok(one_or(parts, Filter::And));
            }
            self.take_if(|what| is(what, &["and", "&&"]));
            parts.push(self.unary()?);
        }
    }

    fn unary(&mut self) -> Result<Filter, Error> {
        if self.depth == DEPTH_MAX {
            let message = format!("the query nests deeper than {DEPTH_MAX}");
            return Err(Error::new(self.at(), message));
        }
        self.depth += 1;
        let at = self.at();
        let filter = if self.take_if(|what| *what == What::Not || is(what, &["not"])) {
            Filter::Not(Box::new(self.unary()?))
        } else if self.take_if(|what| *what == What::Open) {
            let inner = self.or()?;
            if !self.take_if(|what| *what == What::Close) {
                return Err(Error::new(at, "this parenthesis is not closed"));
            }
            inner
        } else {
            self.clause()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn clause(&mut self) -> Result<Filter, Error> {
        let end = self.end;
        let Some(Token { at, what }) = self.take() else {
            return Err(Error::new(end, "expected a word or a field"));
        };
        match what {
            What::Field(name) => {
                let field = field::find(name, *at)?;
                self.value(field)
            }
            What::Quoted(text) => phrase(text, *at),
            What::QuotedPrefix(text) => prefix(text, *at),
            What::Bare(word) if word == "*" => Ok(Filter::All),
            What::Bare(word) if !is_keyword(word) => bare(word, *at),
            _ => Err(Error::new(*at, "expected a word or a field")
                .hint("put the text in quotes to search for it")),
        }
    }

    fn value(&mut self, field: Field) -> Result<Filter, Error> {
        let missing = Error::new(self.at(), format!("{} has no value", field.name));
        let Some(Token { at, what }) = self.take() else { return Err(missing) };
        match what {
            What::Quoted(text) => equal(field, text, *at),
            What::QuotedPrefix(text) => Ok(compare(field, value::starts_with(field, text, *at)?)),
            What::Bare(text) => whole_or_prefix(field, text, *at),
            What::Compare(sign) => self.ordered(field, *sign),
            What::RangeOpen => self.range(field, *at),
            What::ListOpen => self.any_of(field, *at),
            _ => Err(missing),
        }
    }

    fn text(&mut self, field: Field) -> Result<(&'a str, usize), Error> {
        let at = self.at();
        match self.take().map(|token| &token.what) {
            Some(What::Bare(text) | What::Quoted(text)) => Ok((text, at)),
            _ => Err(Error::new(at, format!("expected a value of {}", field.name))),
        }
    }

    fn ordered(&mut self, field: Field, sign: Compare) -> Result<Filter, Error> {
        let (text, at) = self.text(field)?;
        let number = || value::number(field, text, at);
        let (from, to) = match sign {
            Compare::Equal => return equal(field, text, at),
            Compare::NotEqual => return Ok(Filter::Not(Box::new(equal(field, text, at)?))),
            Compare::Above => (Bound::Excluded(number()?), Bound::Unbounded),
            Compare::AtLeast => (Bound::Included(number()?), Bound::Unbounded),
            Compare::Below => (Bound::Unbounded, Bound::Excluded(number()?)),
            Compare::AtMost => (Bound::Unbounded, Bound::Included(number()?)),
        };
        Ok(compare(field, Comparison::Within(from, to)))
    }

    /// The values up to the closing bracket.
    fn list(&mut self, field: Field, opened: usize) -> Result<Values<'a>, Error> {
        let mut texts = Vec::new();
        while !self.take_if(|what| *what == What::ListClose) {
            if self.peek().is_none() {
                return Err(Error::new(opened, "this bracket is not closed").hint("end it with ]"));
            }
            texts.push(self.text(field)?);
        }
        Ok(texts)
    }

    fn range(&mut self, field: Field, opened: usize) -> Result<Filter, Error> {
        let texts = self.list(field, opened)?;
        let [(from, from_at), (to, _), (end, end_at)] = texts.as_slice() else {
            return Err(Error::new(opened, "expected [from TO to]")
                .hint("put the value in quotes if the bracket is meant"));
        };
        if !to.eq_ignore_ascii_case("to") {
            return Err(Error::new(opened, "expected [from TO to]"));
        }
        let (from, to) = (bound(field, from, *from_at)?, bound(field, end, *end_at)?);
        match (from, to) {
            (Bound::Included(first), Bound::Included(last)) if first > last => {
                Err(Error::new(opened, "the range ends before it begins"))
            }
            _ => Ok(compare(field, Comparison::Within(from, to))),
        }
    }

    fn any_of(&mut self, field: Field, opened: usize) -> Result<Filter, Error> {
        let texts = self.list(field, opened)?;
        if texts.is_empty() {
            return Err(Error::new(opened, "the list is empty"));
        }
        let any = texts.into_iter().map(|(text, at)| equal(field, text, at));
        Ok(one_or(any.collect::<Result<_, _>>()?, Filter::Or))
    }
}

fn is(what: &What, keywords: &[&str]) -> bool {
    matches!(what, What::Bare(word) if keywords.iter().any(|known| known.eq_ignore_ascii_case(word)))
}

fn one_or(mut parts: Vec<Filter>, many: impl Fn(Vec<Filter>) -> Filter) -> Filter {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            many(parts)
        }
    }
}

fn compare(field: Field, is: Comparison) -> Filter {
    Filter::Field { name: field.name, is }
}

fn equal(field: Field, text: &str, at: usize) -> Result<Filter, Error> {
    Ok(compare(field, Comparison::Equal(value::literal(field, text, at)?)))
}

fn whole_or_prefix(field: Field, text: &str, at: usize) -> Result<Filter, Error> {
    if let Some((first, last)) = value::class(field, text) {
        let within = Comparison::Within(Bound::Included(first), Bound::Included(last));
        return Ok(compare(field, within));
    }
    match text.strip_suffix('*') {
        Some("") => Ok(compare(field, Comparison::Exists)),
        Some(start) => {
            no_star(start, at)?;
            Ok(compare(field, value::starts_with(field, start, at)?))
        }
        None => {
            no_star(text, at)?;
            equal(field, text, at)
        }
    }
}

fn bound(field: Field, text: &str, at: usize) -> Result<Bound<u64>, Error> {
    if text == "*" && matches!(field.kind, Kind::Number | Kind::Duration) {
        return Ok(Bound::Unbounded);
    }
    value::number(field, text, at).map(Bound::Included)
}

/// A bare word; one that looks like an id may be one.
fn bare(word: &str, at: usize) -> Result<Filter, Error> {
    if let Some(start) = word.strip_suffix('*') {
        no_star(start, at)?;
        return prefix(start, at);
    }
    no_star(word, at)?;
    let text = Filter::Word(searchable(word, at)?.to_owned());
    let Some(id) = value::id(word) else { return Ok(text) };
    let is = |literal| Comparison::Equal(literal);
    Ok(Filter::Or(vec![
        Filter::Field { name: "id", is: is(Literal::Id(id)) },
        Filter::Field { name: "request", is: is(Literal::Text(word.to_owned())) },
        text,
    ]))
}

fn phrase(text: &str, at: usize) -> Result<Filter, Error> {
    let mut words: Vec<String> =
        searchable(text, at)?.split_whitespace().map(str::to_owned).collect();
    Ok(if words.len() == 1 { Filter::Word(words.remove(0)) } else { Filter::Phrase(words) })
}

fn prefix(text: &str, at: usize) -> Result<Filter, Error> {
    Ok(Filter::Prefix(searchable(text, at)?.to_owned()))
}

/// Only letters and digits are in the full text.
fn searchable(text: &str, at: usize) -> Result<&str, Error> {
    if text.chars().any(char::is_alphanumeric) {
        return Ok(text);
    }
    Err(Error::new(at, format!("{text:?} has neither letter nor digit to search for")))
}

/// A star elsewhere would have to read every word that there is.
fn no_star(text: &str, at: usize) -> Result<(), Error> {
    match text.find('*') {
        Some(star) => Err(Error::new(at + star, "a star can only stand at the end")
            .hint("put the text in quotes if the star is meant")),
        None => Ok(()),
    }
}
