//! One value of the right type and range, or a refusal that says what was expected.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use super::error::Error;
use super::leaf::Leaf;
use super::raw::{Raw, shown};
use super::secret::Secret;
use super::unit::{read_bytes, read_millis, show_bytes, show_millis};
use crate::evidence::Signal;
use crate::receive::{Address, Origin};
use crate::redact::edit;

const LIST_MAX: usize = 4096;

/// Longer than any path, host name or token.
const TEXT_BYTES_MAX: usize = 4096;

const MASK_BYTES_MAX: usize = 64;

/// Each rule is tried on each list of its level.
const RULES_MAX: usize = 256;

impl Raw {
    /// A whole number.
    pub(super) fn count<T: TryFrom<u64>>(
        &self,
        key: &str,
        range: RangeInclusive<u64>,
    ) -> Result<T, Error> {
        let expected = format!("{} to {}", range.start(), range.end());
        let number = |leaf: &Leaf| leaf.scalar()?.trim().parse().ok();
        self.read(key, expected, |leaf| narrow(number(leaf)?, &range))
    }

    /// A size, `64MiB`.
    pub(super) fn bytes<T: TryFrom<u64>>(
        &self,
        key: &str,
        range: RangeInclusive<u64>,
    ) -> Result<T, Error> {
        let expected = format!("{} to {}", show_bytes(*range.start()), show_bytes(*range.end()));
        self.read(key, expected, |leaf| narrow(read_bytes(&leaf.scalar()?)?, &range))
    }

    /// A time, `500ms`, in a range of milliseconds.
    pub(super) fn duration(
        &self,
        key: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Duration, Error> {
        let expected = format!("{} to {}", show_millis(*range.start()), show_millis(*range.end()));
        let millis = |leaf: &Leaf| narrow(read_millis(&leaf.scalar()?)?, &range);
        self.read(key, expected, |leaf| millis(leaf).map(Duration::from_millis))
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str) -> Result<bool, Error> {
        self.choice(key, &[("true", true), ("false", false)])
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<T, Error> {
        let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
        self.read(key, names.join(" or "), |leaf| {
            let text = leaf.scalar()?;
            words.iter().find(|(name, _)| *name == text.trim()).map(|(_, word)| *word)
        })
    }

    /// What stands in a secret's place: nothing that YAML, JSON or a URL would have to escape.
    pub(super) fn mask(&self, key: &str) -> Result<String, Error> {
        let expected = format!("1 to {MASK_BYTES_MAX} letters, digits or *_-[]. in quotes");
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"*_-[].".contains(&byte);
        let fits = |mask: &String| {
            (1..=MASK_BYTES_MAX).contains(&mask.len()) && mask.bytes().all(is_plain)
        };
        self.read(key, expected, |leaf| leaf.text().filter(fits))
    }

    /// A path, which is not empty.
    pub(super) fn path<T: From<String>>(&self, key: &str) -> Result<T, Error> {
        let expected = format!("text of at most {TEXT_BYTES_MAX} bytes");
        let fits = |text: &String| (1..=TEXT_BYTES_MAX).contains(&text.len());
        self.read(key, expected, |leaf| leaf.text().filter(fits).map(T::from))
    }

    /// A path, or `None` for an empty text.
    pub(super) fn file(&self, key: &str) -> Result<Option<PathBuf>, Error> {
        let expected = format!("text of at most {TEXT_BYTES_MAX} bytes");
        let fits = |text: &String| text.len() <= TEXT_BYTES_MAX;
        self.read(key, expected, |leaf| {
            let text = leaf.text().filter(fits)?;
            Some((!text.is_empty()).then(|| PathBuf::from(text)))
        })
    }

    /// Lines of one form each; a refusal says which one is wrong.
    pub(super) fn lines<T: FromStr>(&self, key: &str, form: &str) -> Result<Vec<T>, Error> {
        let expected = format!("at most {LIST_MAX} of: {form}");
        let mut wrong = None;
        let read = self.read(key, expected, |leaf| {
            let texts = leaf.texts().filter(|texts| texts.len() <= LIST_MAX)?;
            let parsed = texts.iter().enumerate().map(|(at, text)| {
                text.parse().map_err(|_| wrong = Some((at + 1, text.clone()))).ok()
            });
            parsed.collect()
        });
        read.map_err(|error| match (error, wrong) {
            (Error::Value { key, expected, origin, .. }, Some((number, text))) => {
                let text = cut(shown(&key, &Leaf::Text(text)));
                Error::Value { got: format!("{text} (number {number})"), key, expected, origin }
            }
            (error, _) => error,
        })
    }

    /// Texts, none of which is empty.
    pub(super) fn texts<T: From<String>>(&self, key: &str) -> Result<Vec<T>, Error> {
        let expected = format!("a list of at most {LIST_MAX} texts");
        let fits = |text: &String| (1..=TEXT_BYTES_MAX).contains(&text.len());
        self.read(key, expected, |leaf| {
            let texts = leaf.texts()?;
            let fit = texts.len() <= LIST_MAX && texts.iter().all(fits);
            fit.then(|| texts.into_iter().map(T::from).collect())
        })
    }

    /// Rules that change attributes.
    pub(super) fn edits(&self, key: &str) -> Result<Vec<String>, Error> {
        let expected = format!("a list of at most {RULES_MAX} rules");
        let fits = |text: &String| (1..=TEXT_BYTES_MAX).contains(&text.len());
        let rules = self.read(key, expected, |leaf| {
            let texts = leaf.texts()?;
            (texts.len() <= RULES_MAX && texts.iter().all(fits)).then_some(texts)
        })?;
        let refused = |(number, rule): (usize, &String)| {
            let problem = edit::check(rule).err()?.to_string();
            let origin = self.get(key)?.origin.clone();
            Some(Error::Rule {
                key: key.to_owned(),
                number,
                rule: cut(rule.clone()),
                problem,
                origin,
            })
        };
        match (1..).zip(&rules).find_map(refused) {
            Some(error) => Err(error),
            None => Ok(rules),
        }
    }

    /// Where pages come from that may send.
    pub(super) fn origins(&self, key: &str) -> Result<Vec<Origin>, Error> {
        let expected = "a list of origins such as https://*.example.com".to_owned();
        self.read(key, expected, |leaf| {
            let texts = leaf.texts().filter(|texts| texts.len() <= LIST_MAX)?;
            texts.iter().map(|text| Origin::parse(text)).collect()
        })
    }

    /// Names of headers, or `*`, which is a name too.
    pub(super) fn header_names(&self, key: &str) -> Result<Vec<String>, Error> {
        let expected = "a list of names of headers".to_owned();
        let is_name = |text: &String| HeaderName::from_bytes(text.as_bytes()).is_ok();
        self.read(key, expected, |leaf| {
            leaf.texts().filter(|texts| texts.len() <= LIST_MAX && texts.iter().all(is_name))
        })
    }

    /// An address to listen at.
    pub(super) fn address(&self, key: &str) -> Result<SocketAddr, Error> {
        let expected = "an address such as 127.0.0.1:4317".to_owned();
        self.read(key, expected, |leaf| leaf.scalar()?.trim().parse().ok())
    }

    /// An address to listen at, `None` when the door is off.
    pub(super) fn door(&self, key: &str) -> Result<Option<Address>, Error> {
        let expected =
            "an address such as 127.0.0.1:4317 or unix:/run/otlp.sock, or off".to_owned();
        self.read(key, expected, |leaf| match leaf.scalar()?.trim() {
            // YAML 1.1 writers turn a bare `off` into `false`.
            "off" | "false" => Some(None),
            address => address.parse().ok().map(Some),
        })
    }

    /// A text that is never shown.
    pub(super) fn secret(&self, key: &str) -> Result<Secret, Error> {
        let expected = format!("text of at most {TEXT_BYTES_MAX} bytes");
        let fits = |text: &String| text.len() <= TEXT_BYTES_MAX;
        self.read(key, expected, |leaf| leaf.text().filter(fits).map(Secret::new))
    }

    /// Text of which there may be none.
    pub(super) fn optional<T: From<String>>(&self, key: &str) -> Result<Option<T>, Error> {
        let expected = format!("text of at most {TEXT_BYTES_MAX} bytes");
        let some = |text: String| (!text.is_empty()).then(|| T::from(text));
        let fits = |text: &String| text.len() <= TEXT_BYTES_MAX;
        self.read(key, expected, |leaf| leaf.text().filter(fits).map(some))
    }

    /// Which signals a destination is sent.
    pub(super) fn signals(&self, key: &str) -> Result<Vec<Signal>, Error> {
        let expected = "a list of traces, logs and metrics, at least one".to_owned();
        self.read(key, expected, |leaf| {
            let named = |name: String| Signal::ALL.into_iter().find(|it| it.name() == name);
            let signals: Vec<_> = leaf.texts()?.into_iter().map(named).collect::<Option<_>>()?;
            (!signals.is_empty()).then_some(signals)
        })
    }

    /// The address of a proxy, if there is one.
    pub(super) fn proxy(&self, key: &str) -> Result<Option<String>, Error> {
        let expected = "an address such as http://proxy:3128 without path and password, or nothing";
        self.read(key, expected.to_owned(), |leaf| {
            let text = leaf.text()?;
            let is_proxy = |uri: &Uri| {
                is_bare(uri)
                    && uri.scheme_str() == Some("http")
                    && uri.path() == "/"
                    && uri.port().is_some()
            };
            match text.as_str() {
                "" => Some(None),
                _ => text.parse().is_ok_and(|uri| is_proxy(&uri)).then_some(Some(text)),
            }
        })
    }

    /// What a proxy is told, which goes into a header.
    pub(super) fn proxy_auth(&self, key: &str) -> Result<Secret, Error> {
        let expected = format!("visible ASCII of at most {TEXT_BYTES_MAX} bytes");
        let fits = |text: &String| {
            text.len() <= TEXT_BYTES_MAX && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        };
        self.read(key, expected, |leaf| leaf.text().filter(fits).map(Secret::new))
    }

    /// The address of a destination. A password in it would be shown by whoever logs it.
    pub(super) fn endpoint(&self, key: &str) -> Result<String, Error> {
        let expected = "an address such as http://tempo:4317 or https://tempo:4317, without \
                        password and query"
            .to_owned();
        self.read(key, expected, |leaf| {
            let text = leaf.text()?;
            let uri: Uri = text.parse().ok()?;
            is_bare(&uri).then_some(text)
        })
    }

    /// The value of a header that can be sent with gRPC as text.
    pub(super) fn header(&self, key: &str, name: &str) -> Result<Secret, Error> {
        let expected = "a header of visible ASCII, its name without -bin".to_owned();
        self.read(key, expected, |leaf| {
            HeaderName::from_bytes(name.as_bytes()).ok()?;
            let text = leaf.text().filter(|text| text.len() <= TEXT_BYTES_MAX)?;
            HeaderValue::from_str(&text).ok()?;
            (!name.ends_with("-bin")).then(|| Secret::new(text))
        })
    }

    fn read<T>(
        &self,
        key: &str,
        expected: String,
        parse: impl FnOnce(&Leaf) -> Option<T>,
    ) -> Result<T, Error> {
        let entry = self.get(key).ok_or_else(|| Error::Missing { key: key.to_owned() })?;
        parse(&entry.leaf).ok_or_else(|| Error::Value {
            key: key.to_owned(),
            expected,
            got: cut(shown(key, &entry.leaf)),
            origin: entry.origin.clone(),
        })
    }
}

fn is_bare(uri: &Uri) -> bool {
    let authority = uri.authority().is_some_and(|name| !name.as_str().contains('@'));
    matches!(uri.scheme_str(), Some("http" | "https")) && authority && uri.query().is_none()
}

fn narrow<T: TryFrom<u64>>(number: u64, range: &RangeInclusive<u64>) -> Option<T> {
    range.contains(&number).then(|| T::try_from(number).ok()).flatten()
}

/// A refusal stays one line.
fn cut(shown: String) -> String {
    const CHARS_MAX: usize = 100;
    match shown.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => {
            shown.split_at_checked(at).map_or(shown.clone(), |(head, _)| format!("{head}…"))
        }
        None => shown,
    }
}
