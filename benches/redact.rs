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
    group.finish();
    criterion.final_summary();
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
