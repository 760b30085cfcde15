//! The walk that takes the secrets out, over requests with none, few and many.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use prost::Message as _;

#[path = "support/policy.rs"]
mod policy;
#[path = "support/requests.rs"]
mod requests;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SPANS: usize = 1000;

/// What a gateway is used for most: an attribute set, one renamed and one removed.
const EDITS: [&str; 3] = [
    "set span deployment.environment.name = production",
    "rename span http.status_code to http.response.status_code",
    "remove span user.id",
];

fn main() {
    let policy = policy::policy();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("redact");
    group.throughput(Throughput::Elements(SPANS as u64));
    for (name, every) in
        [("no secrets", 0), ("a secret in 1 of 100 spans", 100), ("in every span", 1)]
    {
        let bytes = request(every);
        group.bench_function(name, |it| it.iter(|| policy.clean(policy::head(), &bytes).unwrap()));
    }
    let edited = policy::edited(&EDITS);
    let bytes = attributes();
    for (name, policy) in [("15 attributes", &policy), ("15 attributes, 3 edits", &edited)] {
        group.bench_function(name, |it| it.iter(|| policy.clean(policy::head(), &bytes).unwrap()));
    }
    group.finish();
    criterion.final_summary();
}

/// Fifteen attributes in each span, of which edits name two.
fn attributes() -> Bytes {
    let mut request = requests::traces(SPANS, 2);
    let scopes = request.resource_spans.iter_mut().flat_map(|it| &mut it.scope_spans);
    for span in scopes.flat_map(|it| &mut it.spans) {
        span.attributes.push(requests::number("http.status_code", 200));
        span.attributes.push(requests::text("user.id", "user-4711"));
        span.attributes.push(requests::text("http.flavor", "1.1"));
    }
    Bytes::from(request.encode_to_vec())
}

/// One span in `every` has a token in its URL and an authorization header.
fn request(every: usize) -> Bytes {
    let mut request = requests::traces(SPANS, 2);
    let scopes = request.resource_spans.iter_mut().flat_map(|it| &mut it.scope_spans);
    for (at, span) in scopes.flat_map(|it| &mut it.spans).enumerate() {
        if every > 0 && at.is_multiple_of(every) {
            span.attributes.push(requests::text("url.full", "https://shop.test/a?token=abc&b=c"));
            span.attributes
                .push(requests::text("http.request.header.authorization", "Bearer abcd"));
        }
    }
    Bytes::from(request.encode_to_vec())
}
