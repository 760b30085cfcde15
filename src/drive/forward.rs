//! From the log to one destination.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::evidence::Signal;
use crate::export::Outgoing;
use crate::ledger::{Account, Reason};
use crate::log::{Error, Reader};

/// Reads the log for one destination until it is closed, or the exporter is gone.
pub(crate) async fn forward(
    mut reader: Reader,
    account: Arc<Account>,
    exporter: mpsc::Sender<Outgoing>,
    halt: CancellationToken,
) {
    while let Some(read) = halt.run_until_cancelled(reader.next()).await {
        match read {
            Ok(Some(batch)) => {
                let outgoing = Outgoing {
                    position: batch.position,
                    next: batch.next,
                    head: batch.head,
                    bytes: batch.bytes,
                };
                if exporter.send(outgoing).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(Error::Corrupt { at, next: _, items }) => {
                tracing::error!(position = at.0, "a damaged span of the log is passed over");
                for (signal, items) in Signal::ALL.into_iter().zip(items) {
                    account.lost(signal, Reason::Corrupt, items);
                }
            }
            Err(Error::Gone { at, start, items }) => {
                tracing::error!(position = at.0, start = start.0, "evidence left the log unread");
                for (signal, items) in Signal::ALL.into_iter().zip(items.unwrap_or_default()) {
                    account.lost(signal, Reason::Unread, items);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the log cannot be read; trying again");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }
}
