//! Whose data a request brings: what its token or its connection's certificate says.
//!
//! A token counts where one is given and tokens are set; else the certificate does. Both are
//! looked up in the settings, and nothing else in a request says who sent it.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::identity::{Identity, Rule};
use crate::evidence::Tenant;

/// A tenant's name is a label, and may become part of a path.
const TENANT_BYTES_MAX: usize = 64;

/// Who may come in. Nobody is asked when both are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auth {
    /// Known by a token.
    pub tokens: Vec<Token>,
    /// Known by the SPIFFE ID in a client certificate.
    pub identities: Vec<Rule>,
}

/// The digest of a token, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    tenant: String,
    digest: [u8; 32],
}

/// The text is no token and no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong;

/// Why a request is not let in. Each is one series of the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There is neither a token nor a certificate with one identity.
    NoCredential,
    /// It is no bearer token, or an unknown one, or there are two.
    WrongCredential,
    /// The certificate's identity is valid, and of no tenant.
    NoTenant,
}

/// A tenant of the settings, and how many requests were its.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) tenant: Tenant,
    requests: AtomicU64,
}

/// Decides who comes in, and counts. Each request is judged by what the settings say when it comes.
#[derive(Debug)]
pub(super) struct Guard {
    current: ArcSwap<Current>,
    denied: [AtomicU64; Denied::ALL.len()],
}

/// Who may come in now.
#[derive(Debug)]
struct Current {
    auth: Auth,
    known: Vec<Arc<Known>>,
}

impl Auth {
    /// Whether requests are asked who they are.
    #[must_use]
    pub fn asks(&self) -> bool {
        !self.tokens.is_empty() || !self.identities.is_empty()
    }

    /// What is right entry by entry and wrong together; `None` when nothing is.
    #[must_use]
    pub fn conflict(&self) -> Option<String> {
        let names = self.names();
        for (place, one) in names.iter().enumerate() {
            let same = |other: &&&str| Tenant::named(one) == Tenant::named(other);
            if let Some(other) = names.iter().take(place).find(same) {
                return Some(format!(
                    "the tenants {other} and {one} have the same number: rename one"
                ));
            }
        }
        for (place, token) in self.tokens.iter().enumerate() {
            let same = |other: &&Token| other.digest == token.digest;
            if let Some(other) = self.tokens.iter().take(place).find(same) {
                return Some(format!("{} and {} have the same token", other.tenant, token.tenant));
            }
        }
        for (place, rule) in self.identities.iter().enumerate() {
            let same = |other: &&Rule| other.pattern == rule.pattern;
            if let Some(other) = self.identities.iter().take(place).find(same) {
                return Some(format!(
                    "{} and {} have the same identity",
                    other.tenant, rule.tenant
                ));
            }
        }
        None
    }

    /// Each tenant once.
    fn names(&self) -> Vec<&str> {
        let tokens = self.tokens.iter().map(|token| token.tenant.as_str());
        let rules = self.identities.iter().map(|rule| rule.tenant.as_str());
        let mut names: Vec<_> = tokens.chain(rules).collect();
        if !self.asks() {
            names.push(Tenant::DEFAULT);
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl FromStr for Token {
    type Err = Wrong;

    /// `tenant sha256:<64 hex digits>`: the settings never hold the token itself.
    fn from_str(text: &str) -> Result<Self, Wrong> {
        let (tenant, digest) = text.split_once(' ').ok_or(Wrong)?;
        let digits = digest.trim_start().strip_prefix("sha256:").ok_or(Wrong)?;
        let digest = unhex(digits).ok_or(Wrong)?;
        let tenant = is_tenant(tenant).then(|| tenant.to_owned()).ok_or(Wrong)?;
        Ok(Self { tenant, digest })
    }
}

impl Denied {
    /// All reasons, in the order of the enum.
    pub const ALL: [Self; 3] = [Self::NoCredential, Self::WrongCredential, Self::NoTenant];

    /// The label in metrics and status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::WrongCredential => "wrong_credential",
            Self::NoTenant => "no_tenant",
        }
    }

    /// For the sender. It repeats nothing that the sender sent.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::NoCredential => "a bearer token or a client certificate is needed",
            Self::WrongCredential => "the credential is not one bearer token that is known here",
            Self::NoTenant => "the identity of the certificate has no tenant here",
        }
    }
}

impl Guard {
    pub(super) fn new(auth: Auth) -> Self {
        let current = ArcSwap::from_pointee(Current::new(auth, &[]));
        Self { current, denied: Default::default() }
    }

    /// From the next request on these may come in, on open connections too. Who stays keeps its
    /// count.
    pub(super) fn renew(&self, auth: Auth) {
        let before = self.current.load();
        self.current.store(Arc::new(Current::new(auth, &before.known)));
    }

    /// Whose request it is. `shown` is what the certificate of its connection names.
    pub(super) fn admit(
        &self,
        shown: Option<&Identity>,
        headers: &HeaderMap,
    ) -> Result<Tenant, Denied> {
        let judged = self.current.load().judge(shown, headers);
        match &judged {
            Ok(known) => {
                known.requests.fetch_add(1, Ordering::Relaxed);
            }
            Err(denied) => {
                if let Some(count) = self.denied.get(*denied as usize) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        judged.map(|known| known.tenant)
    }

    pub(super) fn denied(&self, denied: Denied) -> u64 {
        self.denied.get(denied as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    pub(super) fn known(&self) -> Vec<Arc<Known>> {
        self.current.load().known.clone()
    }
}

impl Current {
    /// A tenant that was known `before` goes on counting.
    fn new(auth: Auth, before: &[Arc<Known>]) -> Self {
        let known = |name: &str| match before.iter().find(|known| known.name == name) {
            Some(known) => Arc::clone(known),
            None => Arc::new(Known {
                name: name.to_owned(),
                tenant: Tenant::named(name),
                requests: AtomicU64::new(0),
            }),
        };
        let known = auth.names().into_iter().map(known).collect();
        Self { auth, known }
    }

    fn judge(&self, shown: Option<&Identity>, headers: &HeaderMap) -> Result<Arc<Known>, Denied> {
        let name = self.name(shown, headers)?;
        // Every name that is judged comes from the same settings.
        let known = self.known.iter().find(|known| known.name == name);
        known.map(Arc::clone).ok_or(Denied::NoTenant)
    }

    fn name(&self, shown: Option<&Identity>, headers: &HeaderMap) -> Result<&str, Denied> {
        if !self.auth.asks() {
            return Ok(Tenant::DEFAULT);
        }
        if !self.auth.tokens.is_empty() && headers.contains_key(AUTHORIZATION) {
            let token = bearer(headers).and_then(|token| self.owner(token));
            return token.ok_or(Denied::WrongCredential);
        }
        if self.auth.identities.is_empty() {
            return Err(Denied::NoCredential);
        }
        let identity = shown.ok_or(Denied::NoCredential)?;
        let rules = self.auth.identities.iter().filter(|rule| rule.pattern.matches(identity));
        let rule = rules.max_by_key(|rule| rule.pattern.weight()).ok_or(Denied::NoTenant)?;
        Ok(&rule.tenant)
    }

    /// Looks at every token whatever the first ones say, so that the time tells nothing.
    fn owner(&self, token: &[u8]) -> Option<&str> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let mut owner = None;
        for known in &self.auth.tokens {
            let same: Choice = known.digest.ct_eq(&digest);
            if bool::from(same) {
                owner = Some(known.tenant.as_str());
            }
        }
        owner
    }
}

impl Known {
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// What follows `Bearer` in the only such header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked("bearer ".len())?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}

pub(super) fn is_tenant(name: &str) -> bool {
    let is_letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    (1..=TENANT_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_letter)
}

fn unhex(digits: &str) -> Option<[u8; 32]> {
    let digits = digits.as_bytes();
    let mut out = [0; 32];
    if digits.len() != 2 * out.len() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let text = std::str::from_utf8(pair).ok()?;
        let is_hex = text.bytes().all(|digit| digit.is_ascii_hexdigit());
        *byte = is_hex.then(|| u8::from_str_radix(text, 16).ok())??;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    /// `sha256("sesame")`, and that of `open`.
    const SESAME: &str = "d0c04f4b1951e4aeaaec8223ed2039e542f3aae805a6fa7f6d794e5afff5d272";
    const OPEN: &str = "2348f998744212575d85959674f9607ab26f67708a917157472832386337c904";

    fn auth(tokens: &[&str], identities: &[&str]) -> Auth {
        Auth {
            tokens: tokens.iter().map(|text| text.parse().unwrap()).collect(),
            identities: identities.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for text in values {
            headers.append(AUTHORIZATION, HeaderValue::from_static(text));
        }
        headers
    }

    fn requests(guard: &Guard) -> Vec<(String, u64)> {
        guard.known().iter().map(|known| (known.name.clone(), known.requests())).collect()
    }

    fn shop() -> Auth {
        auth(&[&format!("shop sha256:{SESAME}"), &format!("bank sha256:{OPEN}")], &[])
    }

    #[test]
    fn only_one_bearer_token_that_is_known_opens() {
        let guard = Guard::new(shop());
        let (missing, wrong) = (Err(Denied::NoCredential), Err(Denied::WrongCredential));
        let rows: [(&[&'static str], _); 11] = [
            (&["Bearer sesame"], Ok(Tenant::named("shop"))),
            (&["bearer  open "], Ok(Tenant::named("bank"))),
            (&[], missing),
            (&["Bearer Sesame"], wrong),
            (&["Bearer sesame2"], wrong),
            (&["Bearer "], wrong),
            (&["Bearer"], wrong),
            (&["Basic sesame"], wrong),
            (&["sesame"], wrong),
            (&["Bearer sesame", "Bearer sesame"], wrong),
            (&["Bearer sesame", "Bearer nothing"], wrong),
        ];
        for (values, expected) in rows {
            assert_eq!(guard.admit(None, &headers(values)), expected, "{values:?}");
        }
        assert_eq!(Denied::ALL.map(|denied| guard.denied(denied)), [1, 8, 0]);
        assert_eq!(requests(&guard), [("bank".to_owned(), 1), ("shop".to_owned(), 1)]);
    }

    #[test]
    fn a_token_opens_from_when_it_is_known_until_it_is_not() {
        let guard = Guard::new(auth(&[&format!("shop sha256:{SESAME}")], &[]));
        let come = |token: &'static str| guard.admit(None, &headers(&[token]));
        let of = |tenant| Ok(Tenant::named(tenant));
        let wrong = Err(Denied::WrongCredential);
        assert_eq!([come("Bearer sesame"), come("Bearer open")], [of("shop"), wrong]);

        guard.renew(shop());
        assert_eq!([come("Bearer sesame"), come("Bearer open")], [of("shop"), of("bank")]);
        assert_eq!(requests(&guard), [("bank".to_owned(), 1), ("shop".to_owned(), 2)]);

        guard.renew(auth(&[&format!("shop sha256:{OPEN}")], &[]));
        assert_eq!([come("Bearer sesame"), come("Bearer open")], [wrong, of("shop")]);
        assert_eq!(requests(&guard), [("shop".to_owned(), 3)]);
        assert_eq!(guard.denied(Denied::WrongCredential), 2);
    }

    #[test]
    fn an_identity_is_of_the_tenant_that_the_settings_name_now() {
        let id = "spiffe://a.example/cart";
        let shown = Identity::parse(id).unwrap();
        let guard = Guard::new(auth(&[], &[&format!("shop {id}")]));
        let come = || guard.admit(Some(&shown), &HeaderMap::new());
        assert_eq!(come(), Ok(Tenant::named("shop")));

        guard.renew(auth(&[], &[&format!("bank {id}")]));
        assert_eq!(come(), Ok(Tenant::named("bank")));

        guard.renew(auth(&[], &["bank spiffe://a.example/till"]));
        assert_eq!(come(), Err(Denied::NoTenant));
    }

    #[test]
    fn nobody_is_asked_when_nobody_is_named() {
        let guard = Guard::new(Auth::default());
        assert_eq!(guard.admit(None, &headers(&["Basic x"])), Ok(Tenant::default()));
    }

    #[test]
    fn a_header_that_names_a_tenant_decides_nothing() {
        let guard = Guard::new(shop());
        let mut headers = headers(&["Bearer sesame"]);
        for name in ["x-tenant", "x_tenant", "x-scope-orgid"] {
            headers.insert(name, HeaderValue::from_static("bank"));
        }
        assert_eq!(guard.admit(None, &headers), Ok(Tenant::named("shop")));
    }

    #[test]
    fn a_digest_that_is_none_is_refused() {
        let short = SESAME.split_at(62).0;
        for text in [
            SESAME.to_owned(),
            format!("shop {SESAME}"),
            format!("shop sha256:{short}"),
            format!("shop sha256:{short}+f"),
            format!("shop sha256:{short}zz"),
            format!("shop sha256:{SESAME}00"),
            format!("Shop sha256:{SESAME}"),
            format!(" sha256:{SESAME}"),
        ] {
            assert_eq!(text.parse::<Token>(), Err(Wrong), "{text}");
        }
    }

    #[test]
    fn two_tenants_never_share_a_number_a_token_or_an_identity() {
        let (a, b) = (format!("a sha256:{SESAME}"), format!("b sha256:{SESAME}"));
        let id = "spiffe://a.example/x";
        assert!(auth(&[&a, &b], &[]).conflict().unwrap().contains("the same token"));
        let twice = auth(&[], &[&format!("a {id}"), &format!("b {id}")]);
        assert!(twice.conflict().unwrap().contains("the same identity"));
        let numbers = format!("t85271 sha256:{SESAME}");
        let same = auth(&[&numbers, &format!("t99710 sha256:{OPEN}")], &[]);
        assert!(same.conflict().unwrap().contains("the same number"), "{:?}", same.conflict());
        assert_eq!(shop().conflict(), None);
    }

    proptest! {
        #[test]
        fn no_header_makes_the_guard_panic_or_opens_it(value: Vec<u8>) {
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
            let guard = Guard::new(shop());
            prop_assert_eq!(guard.admit(None, &headers), Err(Denied::WrongCredential));
        }
    }
}
