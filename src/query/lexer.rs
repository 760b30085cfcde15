//! Cuts a query into tokens, within caps, before anything recurses.
//!
//! A bare word ends at a space, a quote or a parenthesis, so routes and addresses need no quotes.
//! A name before a colon is a field; `[` means something only where a field's value begins.

use super::Error;

/// How long a query may be.
const BYTES_MAX: usize = 8 * 1024;
/// How many words and values a query may have.
const TERMS_MAX: usize = 256;

/// A token and the byte at which it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) what: What,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// `(`
    Open,
    /// `)`
    Close,
    /// `-` or `!` before something.
    Not,
    /// A name and its colon.
    Field(String),
    /// `>`, `>=`, `<`, `<=`, `=` or `!=` before a value.
    Compare(Compare),
    /// `[`
    RangeOpen,
    /// `IN [`
    ListOpen,
    /// `]`
    ListClose,
    /// A word without quotes.
    Bare(String),
    /// Text in quotes.
    Quoted(String),
    /// Text in quotes and a star.
    QuotedPrefix(String),
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
    NotEqual,
}

/// Where the lexer is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between clauses.
    Clause,
    /// After a field's colon, or after `IN`.
    Value,
    /// Between brackets.
    List,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    state: State,
    terms: usize,
    tokens: Vec<Token>,
}

/// The tokens of a query.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    if text.len() > BYTES_MAX {
        let message = format!("the query is longer than {BYTES_MAX} bytes");
        return Err(Error::new(BYTES_MAX, message));
    }
    let mut lexer = Lexer { text, at: 0, state: State::Clause, terms: 0, tokens: Vec::new() };
    while lexer.skip_space() {
        lexer.token()?;
    }
    Ok(lexer.tokens)
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Whether anything is left after the space.
    fn skip_space(&mut self) -> bool {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        self.at < self.text.len()
    }

    fn token(&mut self) -> Result<(), Error> {
        let rest = self.rest();
        let next = rest.chars().nth(1);
        match rest.chars().next() {
            Some('"') => return self.quoted(),
            Some('(') => self.push(What::Open, 1),
            Some(')') => self.push(What::Close, 1),
            Some('[') if self.state == State::Value => {
                self.push(What::RangeOpen, 1);
                self.state = State::List;
            }
            Some(']') if self.state == State::List => self.push(What::ListClose, 1),
            Some('-' | '!')
                if self.state == State::Clause && next.is_some_and(|c| !c.is_whitespace()) =>
            {
                self.push(What::Not, 1);
            }
            _ => return self.compare_or_word(),
        }
        Ok(())
    }

    /// Every token but a value's ends the value.
    fn push(&mut self, what: What, bytes: usize) {
        self.tokens.push(Token { at: self.at, what });
        self.at += bytes;
        self.state = State::Clause;
    }

    fn push_term(&mut self, what: What, bytes: usize) -> Result<(), Error> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            let message = format!("the query has more than {TERMS_MAX} words and values");
            return Err(Error::new(self.at, message));
        }
        let state = self.state;
        self.push(what, bytes);
        if state == State::List {
            self.state = State::List;
        }
        Ok(())
    }

    fn quoted(&mut self) -> Result<(), Error> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    let prefix = matches!(chars.next(), Some((_, '*')));
                    let what = if prefix { What::QuotedPrefix(text) } else { What::Quoted(text) };
                    return self.push_term(what, at + 1 + usize::from(prefix));
                }
                '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
                _ => text.push(c),
            }
        }
        Err(Error::new(self.at, "the quote is not closed").hint("end the text with \""))
    }

    fn compare_or_word(&mut self) -> Result<(), Error> {
        if self.state == State::Value {
            let known = [
                (">=", Compare::AtLeast),
                ("<=", Compare::AtMost),
                ("!=", Compare::NotEqual),
                (">", Compare::Above),
                ("<", Compare::Below),
                ("=", Compare::Equal),
            ];
            let found = known.into_iter().find(|(sign, _)| self.rest().starts_with(sign));
            if let Some((sign, compare)) = found {
                self.push(What::Compare(compare), sign.len());
                self.state = State::Value;
                return Ok(());
            }
        }
        self.word()
    }

    fn word(&mut self) -> Result<(), Error> {
        let in_list = self.state == State::List;
        let ends =
            |c: char| c.is_whitespace() || matches!(c, '"' | '(' | ')') || (in_list && c == ']');
        let rest = self.rest();
        let word = rest.split(ends).next().unwrap_or_default();
        if self.state == State::Clause
            && let Some((name, _)) = word.split_once(':')
            && is_name(name)
        {
            let name = name.to_owned();
            let bytes = name.len() + 1;
            self.push(What::Field(name), bytes);
            self.state = State::Value;
            return Ok(());
        }
        if self.state == State::Value
            && word.eq_ignore_ascii_case("in")
            && let Some(space) = rest.get(word.len()..).and_then(|rest| rest.find('['))
            && rest.get(word.len()..word.len() + space).is_some_and(|it| it.trim().is_empty())
        {
            let bytes = word.len() + space + 1;
            self.push(What::ListOpen, bytes);
            self.state = State::List;
            return Ok(());
        }
        let (word, bytes) = (word.to_owned(), word.len());
        self.push_term(What::Bare(word), bytes)
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
}
