//! What the tests stand on: the real gateway as a process, a real OTLP sink, a plain client.

pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod otlp;
pub(crate) mod sink;

use std::future::Future;
use std::time::Duration;

/// Asks again and again until there is an answer; panics with `what` after a generous while.
pub(crate) async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    for _ in 0..600 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited 30 s in vain: {what}");
}
