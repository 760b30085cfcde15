//! URLs: names of parameters stay, their values go.

use super::replace::Replacement;

/// The URL, path or bare query string with every parameter's value replaced; `None` when that
/// changes nothing.
pub(super) fn redacted(text: &[u8], replacement: &Replacement, bare: Bare) -> Option<Vec<u8>> {
    let query = match (text.iter().position(|byte| *byte == b'?' || *byte == b'#'), bare) {
        (_, Bare::Query) => 0,
        (Some(at), Bare::Path) => at + 1,
        (None, Bare::Path) => return None,
    };
    let (head, query) = text.split_at_checked(query)?;
    let mut out = head.to_vec();
    let is_end = |byte: &u8| b"&;?#".contains(byte);
    for part in query.split_inclusive(is_end) {
        let (part, end) = match part.split_last() {
            Some((last, part)) if is_end(last) => (part, Some(*last)),
            _ => (part, None),
        };
        parameter(part, replacement, &mut out);
        out.extend(end);
    }
    (out != text).then_some(out)
}

/// What a text without `?` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bare {
    /// A path, or the URL of a whole resource.
    Path,
    /// The query alone.
    Query,
}

/// `name=value` keeps its name; a lone word may be a token, and goes.
fn parameter(part: &[u8], replacement: &Replacement, out: &mut Vec<u8>) {
    let (name, value) = match part.iter().position(|byte| *byte == b'=') {
        Some(at) => part.split_at_checked(at + 1).unwrap_or((part, &[])),
        None => (&[] as &[u8], part),
    };
    out.extend_from_slice(name);
    if !value.is_empty() {
        replacement.write(value, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::Action;
    use super::*;

    fn redact(text: &str, bare: Bare) -> String {
        let replacement = Replacement::new(&Action::Mask("****".to_owned()));
        let out = redacted(text.as_bytes(), &replacement, bare);
        String::from_utf8(out.unwrap_or_else(|| text.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn parameters_keep_their_names_and_lose_their_values() {
        let url = "https://shop.test/pay?token=abc&step=2&flag#access_token=xyz";
        let clean = "https://shop.test/pay?token=****&step=****&****#access_token=****";
        assert_eq!(redact(url, Bare::Path), clean);
    }

    #[test]
    fn a_path_without_a_query_stays() {
        assert_eq!(redact("/users/17", Bare::Path), "/users/17");
    }

    #[test]
    fn a_bare_query_string_is_all_parameters() {
        assert_eq!(redact("token=abc", Bare::Query), "token=****");
    }
}
