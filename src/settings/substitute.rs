//! `${env:NAME}` inside a text.
//!
//! It happens after parsing: a variable's value can hold any YAML and stays one text.

/// Why a text cannot be completed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incomplete {
    /// The variable has no value, and nothing was given instead.
    Unset(String),
    /// `${` without `env:NAME}` after it.
    Placeholder,
}

/// The text with each `${env:NAME}` replaced by the variable's value, each `${env:NAME:-instead}`
/// too, or by what is given instead when the variable is unset or empty, as in a shell. `$$` is `$`.
pub(super) fn substitute<E: From<Incomplete>>(
    text: &str,
    variable: impl Fn(&str) -> Result<Option<String>, E>,
) -> Result<String, E> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let (inner, after) = after.split_once('}').ok_or(Incomplete::Placeholder)?;
            out.push_str(&value(inner, &variable)?);
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The value of what stands between the braces.
fn value<E: From<Incomplete>>(
    inner: &str,
    variable: impl Fn(&str) -> Result<Option<String>, E>,
) -> Result<String, E> {
    let inner = inner.strip_prefix("env:").ok_or(Incomplete::Placeholder)?;
    let (name, instead) = match inner.split_once(":-") {
        Some((name, instead)) => (name, Some(instead)),
        None => (inner, None),
    };
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_letter) {
        return Err(Incomplete::Placeholder.into());
    }
    match (variable(name)?, instead) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(instead)) => Ok(instead.to_owned()),
        (None, None) => Err(Incomplete::Unset(name.to_owned()).into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(text: &str) -> Result<String, Incomplete> {
        substitute(text, |name| {
            Ok(match name {
                "HOST" => Some("tempo".to_owned()),
                "NESTED" => Some("${env:HOST}".to_owned()),
                "EMPTY" => Some(String::new()),
                _ => None,
            })
        })
    }

    #[test]
    fn a_variable_is_put_in_its_place() {
        assert_eq!(with("http://${env:HOST}:4317"), Ok("http://tempo:4317".to_owned()));
    }

    #[test]
    fn what_is_given_instead_is_used_when_the_variable_is_unset_or_empty() {
        let text = "${env:NONE:-a:-b} ${env:EMPTY:-c} ${env:HOST:-d} ${env:NONE:-}";

        assert_eq!(with(text), Ok("a:-b c tempo ".to_owned()));
    }

    #[test]
    fn an_unset_variable_is_named() {
        assert_eq!(with("${env:NONE}"), Err(Incomplete::Unset("NONE".to_owned())));
    }

    #[test]
    fn two_dollars_are_one_and_hide_a_placeholder() {
        assert_eq!(with("$$5 $${env:HOST} $x 5$"), Ok("$5 ${env:HOST} $x 5$".to_owned()));
    }

    #[test]
    fn the_value_of_a_variable_is_not_read_again() {
        assert_eq!(with("${env:NESTED}"), Ok("${env:HOST}".to_owned()));
    }

    #[test]
    fn a_brace_that_is_no_variable_is_refused() {
        let texts = ["${HOST}", "${env:}", "${env:A B}", "${env:HOST", "${"];

        assert_eq!(texts.map(with), texts.map(|_| Err(Incomplete::Placeholder)));
    }

    proptest! {
        #[test]
        fn doubled_dollars_give_back_any_text(text in "[a$}{:-]*") {
            prop_assert_eq!(with(&text.replace('$', "$$")), Ok(text));
        }
    }
}
