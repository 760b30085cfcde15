//! A rule is one line of text: `set span http.route = /x where resource service.name = shop`.

use std::borrow::Cow;

use super::rule::{Action, Attribute, Condition, How, Level, Literal, Rule, Test};

/// Longer than any key that a convention knows.
const KEY_BYTES_MAX: usize = 256;

/// A text cannot be a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("has {got} at character {at}, where {expected} is expected")]
pub struct Error {
    at: usize,
    expected: Cow<'static, str>,
    got: String,
}

/// Whether the text is a rule.
///
/// # Errors
/// When it is none.
pub fn check(text: &str) -> Result<(), Error> {
    parse(text).map(drop)
}

/// Whether one of the rules needs the key of the pseudonyms.
#[must_use]
pub fn needs_key(rules: &[String]) -> bool {
    let needs = |rule: Rule| matches!(rule.action, Action::Pseudonymise { .. });
    rules.iter().filter_map(|text| parse(text).ok()).any(needs)
}

const ACTIONS: &str = "add, set, change, remove, rename, copy or pseudonymise";
const LEVELS: &str = "resource, scope, span, event, link, log or point";
const KEY: &str = "a key of 1 to 256 bytes, in quotes if it holds spaces or =";
const VALUE: &str = "a value: text (in quotes if it holds spaces), a number, true or false";

/// Reads one rule.
pub(super) fn parse(text: &str) -> Result<Rule, Error> {
    let mut words = Words::new(text)?;
    let action = words.take();
    let rule = match action.bare() {
        Some("add") => write(&mut words, How::Add),
        Some("set") => write(&mut words, How::Set),
        Some("change") => write(&mut words, How::Change),
        Some("remove") => {
            let (level, key) = attribute(&mut words)?;
            Ok((level, Action::Remove { key }))
        }
        Some("rename") => rename(&mut words),
        Some("copy") => copy(&mut words),
        Some("pseudonymise" | "pseudonymize") => {
            let (level, key) = attribute(&mut words)?;
            Ok((level, Action::Pseudonymise { key }))
        }
        _ => Err(action.not(ACTIONS)),
    };
    let (level, action) = rule?;
    let condition = condition(&mut words, level)?;
    Ok(Rule { level, action, condition })
}

fn write(words: &mut Words<'_>, how: How) -> Result<(Level, Action), Error> {
    let (level, key) = attribute(words)?;
    words.expect("=")?;
    let value = literal(&words.take())?;
    Ok((level, Action::Write { how, key, value }))
}

fn rename(words: &mut Words<'_>) -> Result<(Level, Action), Error> {
    let (level, from) = attribute(words)?;
    words.expect("to")?;
    let word = words.take();
    let to = key(&word)?;
    if from == to {
        return Err(word.not("another key"));
    }
    Ok((level, Action::Rename { from, to }))
}

/// The second level may be left out, as in a condition.
fn copy(words: &mut Words<'_>) -> Result<(Level, Action), Error> {
    let (from, from_key) = attribute(words)?;
    words.expect("to")?;
    let mut word = words.take();
    let mut to = from;
    if let Ok(level) = level(&word) {
        if !from.reaches(level) {
            return Err(word.not(format!("{}, or a level within it", from.name())));
        }
        (to, word) = (level, words.take());
    }
    let to_key = key(&word)?;
    if from == to && from_key == to_key {
        return Err(word.not("another key"));
    }
    let from = Attribute { level: from, key: from_key };
    Ok((to, Action::Copy { from, to: to_key }))
}

/// The level may be left out; a key that is called as a level is put in quotes.
fn condition(words: &mut Words<'_>, own: Level) -> Result<Option<Condition>, Error> {
    let word = words.take();
    if word.is_end() {
        return Ok(None);
    }
    if word.bare() != Some("where") {
        return Err(word.not("`where` or the end"));
    }
    let mut word = words.take();
    let mut of = own;
    if let Ok(level) = level(&word) {
        if !level.reaches(own) {
            return Err(word.not(format!("{}, or a level round it", own.name())));
        }
        (of, word) = (level, words.take());
    }
    let of = Attribute { level: of, key: key(&word)? };
    let word = words.take();
    let test = match word.bare() {
        Some("=") => Test::Equals(literal(&words.take())?),
        Some("is") => state(&words.take())?,
        _ => return Err(word.not("`=`, `is present` or `is missing`")),
    };
    let rest = words.take();
    if !rest.is_end() {
        return Err(rest.not("the end"));
    }
    Ok(Some(Condition { of, test }))
}

fn state(word: &Word<'_>) -> Result<Test, Error> {
    match word.bare() {
        Some("present") => Ok(Test::Present),
        Some("missing") => Ok(Test::Missing),
        _ => Err(word.not("present or missing")),
    }
}

fn attribute(words: &mut Words<'_>) -> Result<(Level, String), Error> {
    Ok((level(&words.take())?, key(&words.take())?))
}

fn level(word: &Word<'_>) -> Result<Level, Error> {
    let named = Level::NAMES.iter().find(|(name, _)| word.bare() == Some(name));
    named.map(|(_, level)| *level).ok_or_else(|| word.not(LEVELS))
}

fn key(word: &Word<'_>) -> Result<String, Error> {
    let is_plain = word.is_quoted() || !word.text.contains('=');
    if is_plain && (1..=KEY_BYTES_MAX).contains(&word.text.len()) {
        Ok(word.text.clone().into_owned())
    } else {
        Err(word.not(KEY))
    }
}

fn literal(word: &Word<'_>) -> Result<Literal, Error> {
    let Some(text) = word.bare() else {
        return match word.kind {
            Kind::Quoted => Ok(Literal::Text(word.text.clone().into_owned())),
            Kind::Bare | Kind::End => Err(word.not(VALUE)),
        };
    };
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit());
    if let Ok(flag) = text.parse() {
        return Ok(Literal::Flag(flag));
    }
    if let Ok(number) = text.parse()
        && is_number
    {
        return Ok(Literal::Number(number));
    }
    match text.parse::<f64>() {
        Ok(_) if digits.bytes().all(|it| it.is_ascii_digit()) => {
            Err(word.not("a number of 64 bits, or a text in quotes,"))
        }
        Ok(float) if is_number && float.is_finite() => Ok(Literal::Float(float)),
        _ => Ok(Literal::Text(text.to_owned())),
    }
}

/// One word of a rule.
struct Word<'a> {
    /// Of its first character, from 1.
    at: usize,
    text: Cow<'a, str>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bare,
    Quoted,
    End,
}

impl Word<'_> {
    /// The text of a word without quotes.
    fn bare(&self) -> Option<&str> {
        (self.kind == Kind::Bare).then_some(self.text.as_ref())
    }

    fn is_quoted(&self) -> bool {
        self.kind == Kind::Quoted
    }

    fn is_end(&self) -> bool {
        self.kind == Kind::End
    }

    fn not(&self, expected: impl Into<Cow<'static, str>>) -> Error {
        let got = match self.kind {
            Kind::Bare => format!("`{}`", self.text),
            Kind::Quoted => format!("{:?}", self.text),
            Kind::End => "nothing".to_owned(),
        };
        Error { at: self.at, expected: expected.into(), got }
    }
}

/// The words of a rule, all read: quotes are checked before anything else.
struct Words<'a> {
    words: std::vec::IntoIter<Word<'a>>,
    end: usize,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Result<Self, Error> {
        let (mut words, mut rest, mut at) = (Vec::new(), text, 1);
        loop {
            let word = rest.trim_start();
            at += rest.chars().count() - word.chars().count();
            if word.is_empty() {
                return Ok(Self { words: words.into_iter(), end: at });
            }
            let (text, kind, length) = match word.strip_prefix('"') {
                Some(inner) => {
                    let (text, length) = quoted(inner, at)?;
                    (text, Kind::Quoted, length + 1)
                }
                None => {
                    let end = word.find(char::is_whitespace).unwrap_or(word.len());
                    (Cow::Borrowed(word.get(..end).unwrap_or(word)), Kind::Bare, end)
                }
            };
            words.push(Word { at, text, kind });
            let (used, after) = word.split_at_checked(length).unwrap_or((word, ""));
            at += used.chars().count();
            rest = after;
        }
    }

    /// The next word; past the last, the end.
    fn take(&mut self) -> Word<'a> {
        let end = Word { at: self.end, text: Cow::Borrowed(""), kind: Kind::End };
        self.words.next().unwrap_or(end)
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), Error> {
        let word = self.take();
        if word.bare() == Some(sign) { Ok(()) } else { Err(word.not(format!("`{sign}`"))) }
    }
}

/// A text, and how many bytes it took with its closing quote.
type Quoted = (Cow<'static, str>, usize);

/// The text up to the closing quote.
fn quoted(inner: &str, at: usize) -> Result<Quoted, Error> {
    let refused = |at, expected: &'static str, got: &str| Error {
        at,
        expected: Cow::Borrowed(expected),
        got: got.to_owned(),
    };
    let mut text = String::new();
    let mut chars = inner.char_indices().enumerate();
    while let Some((place, (byte, letter))) = chars.next() {
        match letter {
            '"' => {
                let rest = inner.get(byte + 1..).unwrap_or_default();
                if rest.starts_with(|c: char| !c.is_whitespace()) {
                    return Err(refused(at + place + 2, "a space", "more text after the quote"));
                }
                return Ok((Cow::Owned(text), byte + 1));
            }
            '\\' => match chars.next() {
                Some((_, (_, escaped @ ('"' | '\\')))) => text.push(escaped),
                _ => return Err(refused(at + place + 1, "\\\" or \\\\", "a lone backslash")),
            },
            _ => text.push(letter),
        }
    }
    Err(refused(at, "a closing quote", "an open quote"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    fn value(text: &str) -> Literal {
        match parse(&format!("set log k = {text}")).unwrap().action {
            Action::Write { value, .. } => value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rule_reads_as_it_is_written() {
        let rule = parse("copy resource k8s.pod.name to span pod where span \"a b\" = 7").unwrap();
        let of = |level, key: &str| Attribute { level, key: key.to_owned() };
        let from = of(Level::Resource, "k8s.pod.name");
        let test = Test::Equals(Literal::Number(7));
        let condition = Some(Condition { of: of(Level::Span, "a b"), test });
        let action = Action::Copy { from, to: "pod".to_owned() };
        assert_eq!(rule, Rule { level: Level::Span, action, condition });
    }

    #[test]
    fn a_value_has_the_type_that_it_looks_like() {
        let text = |text: &str| Literal::Text(text.to_owned());
        assert_eq!(value("production"), text("production"));
        assert_eq!(value("\"a \\\"b\\\" \\\\ 7\""), text("a \"b\" \\ 7"));
        assert_eq!(value("\"7\""), text("7"));
        assert_eq!(value("-7"), Literal::Number(-7));
        assert_eq!(value("7.5"), Literal::Float(7.5));
        assert_eq!(value("1e3"), Literal::Float(1000.0));
        assert_eq!(value("true"), Literal::Flag(true));
        assert_eq!(value("nan"), text("nan"));
        assert_eq!(value("1.2.3"), text("1.2.3"));
        assert_eq!(value("a=b"), text("a=b"));
        assert_eq!(value("\"\""), text(""));
    }

    #[test]
    fn a_condition_without_a_level_is_of_the_rules_own() {
        let rule = parse("remove log user.email where level is missing").unwrap();
        let of = Attribute { level: Level::Log, key: "level".to_owned() };
        assert_eq!(rule.condition, Some(Condition { of, test: Test::Missing }));
    }

    #[test]
    fn a_refusal_says_where_and_what_was_expected() {
        let cases = [
            (
                "",
                "has nothing at character 1, where add, set, change, remove, rename, copy or \
                  pseudonymise is expected",
            ),
            (
                "set spam a = b",
                "has `spam` at character 5, where resource, scope, span, event, \
                                link, log or point is expected",
            ),
            (
                "set span",
                "has nothing at character 9, where a key of 1 to 256 bytes, in quotes if \
                          it holds spaces or = is expected",
            ),
            (
                "set span a=b",
                "has `a=b` at character 10, where a key of 1 to 256 bytes, in quotes \
                              if it holds spaces or = is expected",
            ),
            ("set span é to b", "has `to` at character 12, where `=` is expected"),
            (
                "set span a = ",
                "has nothing at character 14, where a value: text (in quotes if it \
                               holds spaces), a number, true or false is expected",
            ),
            ("set span a = b c", "has `c` at character 16, where `where` or the end is expected"),
            ("rename span a to a", "has `a` at character 18, where another key is expected"),
            (
                "copy span a to resource b",
                "has `resource` at character 16, where span, or a level \
                                           within it is expected",
            ),
            (
                "set resource a = b where span c = d",
                "has `span` at character 26, where resource, \
                                                     or a level round it is expected",
            ),
            (
                "remove log a where b is gone",
                "has `gone` at character 25, where present or \
                                              missing is expected",
            ),
            (
                "set log a = \"b",
                "has an open quote at character 13, where a closing quote is \
                                 expected",
            ),
            (
                "set log a = \"b\"c",
                "has more text after the quote at character 16, where a space \
                                    is expected",
            ),
            (
                "set log a = 99999999999999999999",
                "has `99999999999999999999` at character 13, \
                                                  where a number of 64 bits, or a text in \
                                                  quotes, is expected",
            ),
        ];
        for (text, want) in cases {
            assert_eq!(refusal(text), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "((set|copy|where|span|log|to|is|=|a|\"|\\\\|é| ){0,12}|.{0,40})") {
            let _ = parse(&text).is_ok();
        }
    }
}
