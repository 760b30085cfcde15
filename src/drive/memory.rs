//! Looks how much memory the process holds, and lets the doors know.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::receive::Counters;

/// At a gigabyte a second, which no door takes, this is a quarter of one.
const INTERVAL: Duration = Duration::from_millis(250);

const STATUS: &str = "/proc/self/status";

/// Measures until `stop`, or not at all where the system does not say.
pub(crate) async fn guard(doors: Arc<Counters>, memory_max: u64, stop: CancellationToken) {
    loop {
        let text = tokio::fs::read_to_string(STATUS).await.unwrap_or_default();
        let Some(resident_bytes) = anonymous_bytes(&text) else {
            tracing::warn!("the system does not say how much memory is held: only bounds hold it");
            return;
        };
        if doors.memory().measured(resident_bytes, memory_max) {
            let refuses = doors.memory().refuses();
            tracing::warn!(resident_bytes, memory_max, refuses, "memory");
        }
        if stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
            return;
        }
    }
}

/// The resident set without the pages of files: those of the index are there because there is
/// room, and go when there is none. `statm` says the same, in pages of a size that it keeps.
fn anonymous_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_of_files_do_not_count() {
        let text = "Name:\thopline\nVmRSS:\t  5000 kB\nRssAnon:\t    1234 kB\nRssFile:\t 3766 kB\n";
        assert_eq!(anonymous_bytes(text), Some(1234 * 1024));
        for other in ["", "RssAnon:", "RssAnon: many kB", "RssAnon: 99999999999999999999 kB"] {
            assert_eq!(anonymous_bytes(other), None, "{other}");
        }
    }

    #[test]
    fn this_process_holds_some_memory() {
        let text = std::fs::read_to_string(STATUS).unwrap();
        assert!(anonymous_bytes(&text).is_some_and(|bytes| bytes > 100_000));
    }

    #[tokio::test]
    async fn the_doors_refuse_when_the_process_holds_more_than_it_may() {
        let (doors, stop) = (Arc::new(Counters::default()), CancellationToken::new());
        let task = tokio::spawn(guard(Arc::clone(&doors), 1000, stop.clone()));
        while !doors.memory().refuses() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        task.await.unwrap();
        assert!(doors.memory().resident_bytes() > 100_000);
    }
}
