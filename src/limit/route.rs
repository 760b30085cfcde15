//! A raw path becomes a route: what tells one request from another is taken out.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

/// No route is longer than this, whatever the path was.
pub const ROUTE_BYTES_MAX: usize = KEPT_BYTES_MAX + MORE.len();

const ID: &str = "{id}";
const MORE: &str = "/__more__";
const SEGMENTS_MAX: usize = 12;
const KEPT_BYTES_MAX: usize = 128;
const TOKEN_BYTES_MIN: usize = 16;
/// No segment longer than this is a token that is worth its analysis: it does not fit anyway.
const TOKEN_BYTES_MAX: usize = 4096;

/// The low-cardinality route of a path or URL.
///
/// Scheme, host, query and fragment go; segments that look like an id, a token, a date, an
/// address or a number become `{id}`; past 12 segments or 128 bytes the rest becomes
/// `/__more__`. A route comes back unchanged, and what is not changed is not copied.
#[must_use]
pub fn template(path: &str) -> Cow<'_, str> {
    let path = without_query(without_authority(path));
    if path.is_empty() {
        return Cow::Borrowed("/");
    }
    let (body, cut) = match path.strip_suffix(MORE) {
        Some(body) => (body, true),
        None => (path, false),
    };
    match unchanged(body) {
        None => Cow::Borrowed(path),
        Some(rest) => Cow::Owned(rewrite(body, rest, cut)),
    }
}

fn without_query(path: &str) -> &str {
    let end = memchr::memchr2(b'?', b'#', path.as_bytes());
    end.and_then(|at| path.get(..at)).unwrap_or(path)
}

/// A URL's scheme ends where its first byte stands that no scheme has: nothing is searched for.
fn without_authority(path: &str) -> &str {
    let bytes = path.as_bytes();
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let end = bytes.iter().position(|byte| !is_scheme(byte)).unwrap_or(bytes.len());
    let rest = path.get(end..).and_then(|rest| rest.strip_prefix("://"));
    match rest {
        Some(rest) if bytes.first().is_some_and(u8::is_ascii_alphabetic) => {
            let end = memchr::memchr3(b'/', b'?', b'#', rest.as_bytes());
            end.and_then(|at| rest.get(at..)).unwrap_or_default()
        }
        _ => path,
    }
}

/// Where the first segment begins that a route does not have, with its number.
fn unchanged(body: &str) -> Option<(usize, usize)> {
    let mut begin = 0;
    for (number, segment) in segments(body).enumerate() {
        let slash = usize::from(number > 0 || body.starts_with('/'));
        let end = begin + slash + segment.len();
        if number >= SEGMENTS_MAX || end > KEPT_BYTES_MAX || is_variable(segment) {
            return Some((begin, number));
        }
        begin = end;
    }
    None
}

/// The leading slash begins the first segment; it does not end an empty one.
fn segments(body: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(body.strip_prefix('/').unwrap_or(body));
    std::iter::from_fn(move || {
        let all = rest?;
        // Segments are short: a loop finds their end sooner than a search that has to be set up.
        let end = all.bytes().position(|byte| byte == b'/');
        let (segment, after) = match end.and_then(|end| all.split_at_checked(end)) {
            Some((segment, after)) => (segment, after.get(1..)),
            None => (all, None),
        };
        rest = after;
        Some(segment)
    })
}

/// The route of `body`, which is one up to the segment that begins at `from`, the `number`th.
fn rewrite(body: &str, (from, number): (usize, usize), cut: bool) -> String {
    let mut route = String::with_capacity(ROUTE_BYTES_MAX.min(body.len() + MORE.len()));
    let (kept, rest) = body.split_at_checked(from).unwrap_or(("", body));
    route.push_str(kept);
    let mut cut = cut;
    for (at, segment) in (number..).zip(segments(rest)) {
        let segment = if is_variable(segment) { ID } else { segment };
        let slash = if at > 0 || body.starts_with('/') { "/" } else { "" };
        let fits = route.len() + slash.len() + segment.len() <= KEPT_BYTES_MAX;
        if at >= SEGMENTS_MAX || !fits {
            cut = true;
            break;
        }
        route.push_str(slash);
        route.push_str(segment);
    }
    if cut {
        route.push_str(MORE);
    }
    route
}

fn is_variable(segment: &str) -> bool {
    let has = seen(segment);
    // The cheap exit for words: all the shapes below need a digit, an `@`, or length.
    if segment.len() < TOKEN_BYTES_MIN && has & (DIGIT | AT) == 0 {
        return false;
    }
    // Each shape is looked for only where there is what it cannot do without.
    !is_parameter(segment)
        && (is_integer(segment)
            || is_hex(segment)
            || is_uuid(segment)
            || is_ulid(segment)
            || is_date(segment)
            || (has & DOT != 0 && is_address(segment))
            || (has & AT != 0 && is_email(segment))
            || (has & DASH != 0 && is_numbered(segment))
            || is_token(segment))
}

const DIGIT: u8 = 1;
/// `@`, or the `%` of its code.
const AT: u8 = 2;
/// Of an address.
const DOT: u8 = 4;
const DASH: u8 = 8;

/// What is in a segment.
fn seen(segment: &str) -> u8 {
    let class = |byte| CLASSES.get(usize::from(byte)).copied().unwrap_or(0);
    segment.bytes().fold(0, |seen, byte| seen | class(byte))
}

static CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut rest = table.as_mut_slice();
    let mut byte = 0_u8;
    while let [first, after @ ..] = rest {
        *first = match byte {
            b'0'..=b'9' => DIGIT,
            b'@' | b'%' => AT,
            b'.' | b':' => DOT,
            b'-' | b'_' => DASH,
            _ => 0,
        };
        byte = byte.wrapping_add(1);
        rest = after;
    }
    table
};

/// A framework's own spelling of a variable: `{id}`, `:id`, `<id>`.
fn is_parameter(segment: &str) -> bool {
    let enclosed = |open, close| segment.starts_with(open) && segment.ends_with(close);
    let mut characters = segment.chars();
    let colon = characters.next() == Some(':')
        && characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    enclosed('{', '}') || enclosed('<', '>') || colon
}

fn is_integer(segment: &str) -> bool {
    let digits = segment.strip_prefix(['-', '+']).unwrap_or(segment);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A word and a number: `order-12345`, `P-1166`, `sku_981`. Two digits are a version or a format.
fn is_numbered(segment: &str) -> bool {
    segment.split_once(['-', '_']).is_some_and(|(word, number)| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphabetic())
            && number.len() >= 3
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The digit is asked for because `facade` and `deadbeef` are words.
fn is_hex(segment: &str) -> bool {
    let digits = segment.strip_prefix("0x").unwrap_or(segment);
    digits.len() >= 8
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && digits.bytes().any(|byte| byte.is_ascii_digit())
}

fn is_uuid(segment: &str) -> bool {
    segment.len() == 36
        && segment.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// 26 digits of Crockford's base 32. The first holds three bits, so it is a decimal digit.
fn is_ulid(segment: &str) -> bool {
    let is_digit = |byte: u8| {
        byte.is_ascii_alphanumeric()
            && !matches!(byte.to_ascii_lowercase(), b'i' | b'l' | b'o' | b'u')
    };
    segment.len() == 26
        && segment.bytes().all(is_digit)
        && segment.bytes().next().is_some_and(|first| matches!(first, b'0'..=b'7'))
}

/// `2026-05-01`, `2026-05`, `20260501T…`, each with anything behind a `T`.
fn is_date(segment: &str) -> bool {
    if !segment.starts_with(|first: char| first.is_ascii_digit()) {
        return false;
    }
    let time = segment.bytes().position(|byte| matches!(byte, b'T' | b't'));
    let (date, has_time) = (segment.get(..time.unwrap_or(segment.len())), time.is_some());
    let date = date.unwrap_or_default();
    let fits = |shape: &[u8]| {
        date.len() == shape.len()
            && date.bytes().zip(shape).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                form => byte == *form,
            })
    };
    fits(b"0000-00-00") || fits(b"0000-00") || (has_time && fits(b"00000000"))
}

fn is_address(segment: &str) -> bool {
    segment.parse::<IpAddr>().is_ok() || segment.parse::<SocketAddr>().is_ok()
}

fn is_email(segment: &str) -> bool {
    let parts = segment.split_once('@').or_else(|| segment.split_once("%40"));
    parts.is_some_and(|(user, host)| {
        !user.is_empty() && host.split_once('.').is_some_and(|(name, _)| !name.is_empty())
    })
}

/// Long, of base64's characters, of high entropy, and cut up as no name is.
///
/// Entropy alone would take `recommendation-service` for a token. A name's pieces, between
/// separators, changes of case, and digits, are words; a token's are two or three characters.
fn is_token(segment: &str) -> bool {
    if !(TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&segment.len()) {
        return false;
    }
    let bytes = segment.trim_end_matches('=').as_bytes();
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_+.".contains(byte);
    bytes.iter().all(is_base64) && is_cut_up(bytes) && entropy(bytes) > 3.5
}

fn is_cut_up(bytes: &[u8]) -> bool {
    let separators = bytes.iter().filter(|byte| !byte.is_ascii_alphanumeric()).count();
    let pairs = || bytes.iter().zip(bytes.iter().skip(1));
    let is_switch = |(a, b): &(&u8, &u8)| {
        (a.is_ascii_digit() && b.is_ascii_alphabetic())
            || (a.is_ascii_alphabetic() && b.is_ascii_digit())
    };
    let switches = pairs().filter(is_switch).count();
    let humps = pairs().filter(|(a, b)| a.is_ascii_lowercase() && b.is_ascii_uppercase()).count();
    // In `HTTPServer` the second word begins with the last capital.
    let ends_of_capitals = pairs()
        .zip(bytes.iter().skip(2))
        .filter(|((a, b), c)| {
            a.is_ascii_uppercase() && b.is_ascii_uppercase() && c.is_ascii_lowercase()
        })
        .count();
    let pieces = 1 + separators + switches + humps + ends_of_capitals;
    separators * 8 <= bytes.len() && (switches >= 4 || pieces * 3 > bytes.len())
}

/// Bits per byte.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let total: f64 = counts.iter().copied().map(f64::from).sum();
    let share = |count: &u32| f64::from(*count) / total;
    counts.iter().filter(|count| **count > 0).map(share).map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::proptest;

    use super::*;

    #[test]
    fn what_tells_requests_apart_becomes_an_id() {
        let raw = "42 -7 550e8400-e29b-41d4-a716-446655440000 01ARZ3NDEKTSV4RRFFQ69G5FAV \
            507f1f77bcf86cd799439011 0xdeadbeef01 2026-05-01 2026-05-01T10:00:00Z \
            20260501T100000 ada@example.com ada%40example.com 10.0.0.7 10.0.0.7:8080 \
            2001:db8::1 V1StGXR8_Z5jdHi6B-myT \
            eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP cart-7d9f8b6c5-x2x4z";
        for segment in raw.split(' ') {
            assert_eq!(template(&format!("/a/{segment}/b")), "/a/{id}/b", "{segment}");
        }
    }

    #[test]
    fn what_names_an_operation_stays_and_is_not_copied() {
        let named = [
            "/",
            "*",
            "/users/{id}",
            "/users/:id/orders/<int:order>",
            "/files/{path:[0-9]+}",
            "/api/v2/recommendation-service/most-viewed-products",
            "/hopline.Cart/ListOrdersByCustomerV2",
            "/GetCustomerSubscriptionsByAccountId",
            "/top-10-ways-to-ship-in-2026",
            "/face-2-face/deadbeef/facade",
            "/ab-cd-ef-gh-ij-kl-mn-op-qr-st-uv/x1x1x1x1x1x1x1x1",
            "/@scope/package",
            "//a//b/",
            "/größe/日本",
        ];
        for path in named {
            assert!(matches!(template(path), Cow::Borrowed(same) if same == path), "{path}");
        }
    }

    #[test]
    fn a_url_is_reduced_to_its_path_without_a_copy() {
        let cases = [
            ("https://shop.example:8443/cart/items?sku=1#top", "/cart/items"),
            ("https://user:secret@shop.example", "/"),
            ("/cart?next=https://evil.example/x", "/cart"),
            ("?q", "/"),
            ("", "/"),
        ];
        for (raw, route) in cases {
            assert!(matches!(template(raw), Cow::Borrowed(it) if it == route), "{raw}");
        }
    }

    #[test]
    fn the_thirteenth_segment_becomes_more() {
        assert_eq!(template("/a/b/c/d/e/f/g/h/i/j/k/l"), "/a/b/c/d/e/f/g/h/i/j/k/l");
        assert_eq!(template("/a/b/c/d/e/f/g/h/i/j/k/l/m"), "/a/b/c/d/e/f/g/h/i/j/k/l/__more__");
    }

    #[test]
    fn past_128_bytes_the_rest_becomes_more() {
        let (name, rest) = ("n".repeat(127), "o".repeat(50));
        assert_eq!(template(&format!("/{name}")), format!("/{name}"));
        assert_eq!(template(&format!("/{name}/{rest}")), format!("/{name}/__more__"));
        assert_eq!(template(&format!("/{name}{rest}")), "/__more__");
    }

    #[test]
    fn nearly_every_random_token_becomes_an_id() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut token = |_| (0..22).map(|_| random.alphanumeric()).collect::<String>();
        let tokens = (0..1000).map(&mut token);
        let missed: Vec<String> = tokens.filter(|token| !is_variable(token)).collect();
        assert!(missed.len() <= 50, "{} missed: {missed:?}", missed.len());
    }

    proptest! {
        #[test]
        fn a_route_is_its_own_route(path in any::<String>()) {
            let once = template(&path).into_owned();
            assert_eq!(template(&once), once);
            assert!(once.len() <= ROUTE_BYTES_MAX && !once.is_empty());
        }

        #[test]
        fn a_route_of_likely_pieces_is_its_own_route(
            path in "(https?://)?(/{0,2}([a-z]{1,9}|[0-9]{1,3}|\\{id\\}|__more__|[A-Za-z0-9_-]{16,40}|:[a-z0-9]|[a-f0-9]{8})){0,16}/?(\\?x)?"
        ) {
            let once = template(&path).into_owned();
            assert_eq!(template(&once), once);
            assert!(once.len() <= ROUTE_BYTES_MAX && !once.is_empty());
        }
    }
}
