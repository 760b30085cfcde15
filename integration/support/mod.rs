//! What the tests stand on: the real gateway as a process, a real OTLP sink, a plain client.

pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod network;
pub(crate) mod otlp;
pub(crate) mod sink;

use std::future::Future;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
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

/// A port where nobody listens. It is given once only, and lies below those that the system gives to
/// whoever connects: or one of many tests would take it meanwhile.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 15_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let at = std::process::id().wrapping_mul(101).wrapping_add(NEXT.fetch_add(1, Relaxed));
        let port = u16::try_from(FIRST + at % COUNT).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// An address where nobody listens.
pub(crate) fn dead_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
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
