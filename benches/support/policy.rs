//! A policy of redaction as operators write it.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use hopline::evidence::{Digest, Head, Nanos, Signal, Source, Tenant};
use hopline::redact::edit;
use hopline::redact::{Action, Caps, Detectors, Policy, Settings};

pub(crate) fn policy() -> Policy {
    edited(&[])
}

/// The policy with rules that edit.
pub(crate) fn edited(rules: &[&str]) -> Policy {
    let owned = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
    let detectors =
        Detectors { bearer: true, jwt: true, card: true, email: true, assignment: true };
    Policy::new(&Settings {
        enabled: true,
        action: Action::Mask("****".to_owned()),
        keys: owned(&[
            "authorization",
            "cookie",
            "set-cookie",
            "x-api-key",
            "password",
            "*secret*",
        ]),
        keep_keys: Vec::new(),
        urls: owned(&["url.full", "url.query", "http.url", "http.target"]),
        detectors,
        caps: Caps::default(),
        edit: edit::Settings { rules: owned(rules), ..edit::Settings::default() },
    })
    .unwrap()
}

pub(crate) fn head() -> Head {
    Head {
        signal: Signal::Traces,
        source: Source::OtlpGrpc,
        tenant: Tenant::default(),
        received: Nanos(0),
        items: 0,
        policy: 0,
        digest: Digest::default(),
    }
}
