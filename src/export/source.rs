//! The log, as one destination reads it.

use std::sync::Arc;
use std::time::Duration;

use super::hand::Hand;
use crate::evidence::Position;
use crate::ledger::{Account, Reason};
use crate::log::{Batch, Error, Reader};

/// A disk that fails is asked again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// Reads on, and has in its hand what it read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) reader: Reader,
    pub(super) account: Arc<Account>,
    pub(super) hand: Arc<Hand>,
}

/// What was read.
#[derive(Debug)]
pub(super) enum Read {
    Batch(Batch),
    /// A damaged span, counted as lost, which ends here.
    Damaged(Position),
    /// The log is closed.
    End,
}

impl Source {
    /// What comes next, waiting for it. Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Read {
        loop {
            let read = self.reader.next().await;
            match self.judge(read) {
                Ok(Some(read)) => return read,
                Ok(None) => return Read::End,
                Err(error) => {
                    tracing::error!(%error, "the log cannot be read; trying again");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// What comes next, if it is there. What fails now fails again where it is waited for.
    pub(super) fn try_next(&mut self) -> Option<Read> {
        let read = self.reader.try_next();
        self.judge(read).ok().flatten()
    }

    fn judge(&self, read: Result<Option<Batch>, Error>) -> Result<Option<Read>, Error> {
        match read {
            Ok(Some(batch)) => {
                self.hand.take(batch.next, batch.head.signal, u64::from(batch.head.items));
                Ok(Some(Read::Batch(batch)))
            }
            Ok(None) => Ok(None),
            Err(Error::Corrupt { at, next, items }) => {
                tracing::error!(position = at.0, "a damaged span of the log is passed over");
                self.account.lost_all(Reason::Corrupt, items);
                self.hand.skip(next);
                Ok(Some(Read::Damaged(next)))
            }
            Err(Error::Gone { at, start, items }) => {
                // The cursor holds what it needs: nothing but a fault of ours trims it.
                tracing::error!(position = at.0, start = start.0, "evidence left the log unread");
                self.account.lost_all(Reason::Unread, items.unwrap_or_default());
                self.hand.skip(start);
                Ok(Some(Read::Damaged(start)))
            }
            Err(error) => Err(error),
        }
    }
}
