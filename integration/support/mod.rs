//! What the tests stand on: the real gateway as a process, a real OTLP sink, a plain client.

pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod network;
pub(crate) mod otlp;
pub(crate) mod sink;

use std::future::Future;
use std::io::Write;
use std::process::{Command, Stdio};
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

/// Whether the program exists and succeeds.
pub(crate) fn run(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Past the capture of the test runner: a test that did not run must not look like one that did.
pub(crate) fn skipped(needs: &str) {
    writeln!(std::io::stderr(), "!! SKIPPED: a test of faults needs {needs}").unwrap();
}
