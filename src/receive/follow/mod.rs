//! Follows a file of flow lines.
//!
//! In: a path to which another process appends. Out: batches of whole lines, in order. Holds: one
//! batch, and a checkpoint on disk, so that a restart goes on where this run ended. A file that is
//! renamed away is read to its end before its successor; one that is cut is read again from its
//! start.

mod checkpoint;
mod tail;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::checkpoint::Checkpoint;
use self::tail::Tail;
use super::budget::Sender;
use super::intake::away;
use super::{Error, Intake, Reply, flow, now};
use crate::evidence::Source;

const SAVE_INTERVAL: Duration = Duration::from_secs(1);
const BACKOFF_MIN: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Follows the file at `path` until `stop`. A file that does not exist yet is waited for.
///
/// # Errors
/// When `checkpoint_dir` cannot be used. Trouble with the file itself is logged and tried again.
pub async fn follow(
    path: PathBuf,
    intake: Intake,
    checkpoint_dir: PathBuf,
    stop: CancellationToken,
) -> Result<(), Error> {
    let opened = Checkpoint::open(&checkpoint_dir, &path).await;
    let checkpoint =
        opened.map_err(|source| Error::Checkpoint { dir: checkpoint_dir.clone(), source })?;
    let mut follower = Follower {
        path,
        intake,
        checkpoint,
        stop,
        tail: None,
        successor: Successor::Unseen,
        saved: Instant::now(),
        troubled: false,
    };
    follower.run().await;
    follower.save().await;
    Ok(())
}

/// Whether the file at `path` could be followed. One that does not exist yet could.
///
/// # Errors
/// When it is a folder, or cannot be read.
pub fn can_follow(path: &Path) -> Result<(), Error> {
    let opened = match path.metadata() {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        // To open a pipe would wait for its writer.
        Ok(found) if found.is_file() => File::open(path).map(drop),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    opened.map_err(|source| Error::Follow { path: path.to_owned(), source })
}

struct Follower {
    path: PathBuf,
    intake: Intake,
    checkpoint: Checkpoint,
    stop: CancellationToken,
    tail: Option<Tail>,
    successor: Successor,
    saved: Instant,
    troubled: bool,
}

/// Whether another file stands at the path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Successor {
    Unseen,
    /// Its writer may still have the old file open: that gets one more look.
    Seen,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Moved,
    Idle,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Delivery {
    Taken,
    Stopped,
}

impl Follower {
    async fn run(&mut self) {
        while !self.stop.is_cancelled() {
            let step = match self.step().await {
                Ok(step) => {
                    self.troubled = false;
                    step
                }
                Err(error) => {
                    self.report(&error);
                    Step::Idle
                }
            };
            if step == Step::Moved && self.saved.elapsed() < SAVE_INTERVAL {
                continue;
            }
            self.save().await;
            if step == Step::Idle {
                self.pause(self.intake.settings().poll_interval).await;
            }
        }
    }

    /// Reads on, and hands over what is whole.
    async fn step(&mut self) -> io::Result<Step> {
        let Some(mut tail) = self.take_tail().await? else { return Ok(Step::Idle) };
        let step = self.advance(&mut tail).await;
        self.tail = Some(tail);
        match step? {
            Step::Moved => {
                self.successor = Successor::Unseen;
                Ok(Step::Moved)
            }
            Step::Idle => self.at_end().await,
        }
    }

    async fn take_tail(&mut self) -> io::Result<Option<Tail>> {
        if let Some(tail) = self.tail.take() {
            return Ok(Some(tail));
        }
        match Tail::open(&self.path, self.checkpoint.mark()).await {
            Ok(tail) => Ok(Some(tail)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn advance(&mut self, tail: &mut Tail) -> io::Result<Step> {
        let line_bytes_max = self.intake.settings().line_bytes_max;
        let read = tail.fill(line_bytes_max).await?;
        let batch = tail.batch();
        if !batch.is_empty() {
            if self.deliver(batch.clone()).await == Delivery::Taken {
                tail.consume(batch.len());
            }
            return Ok(Step::Moved);
        }
        if tail.skip_long_line(line_bytes_max) {
            self.intake.counters().of(Source::Flows).add_rejected(1);
            return Ok(Step::Moved);
        }
        Ok(if read > 0 { Step::Moved } else { Step::Idle })
    }

    /// All that is there was read: what became of the path?
    async fn at_end(&mut self) -> io::Result<Step> {
        let Some(tail) = &mut self.tail else { return Ok(Step::Idle) };
        let found = match tokio::fs::metadata(&self.path).await {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Step::Idle),
            Err(error) => return Err(error),
        };
        if tail.is(&found) {
            if found.len() < tail.end() {
                tracing::info!(path = %self.path.display(), "followed file was cut");
                tail.rewind().await?;
                return Ok(Step::Moved);
            }
            return Ok(Step::Idle);
        }
        if self.successor == Successor::Unseen {
            self.successor = Successor::Seen;
            return Ok(Step::Idle);
        }
        let last = tail.rest();
        if !last.is_empty() && self.deliver(last).await == Delivery::Stopped {
            return Ok(Step::Idle);
        }
        tracing::info!(path = %self.path.display(), "followed file was rotated");
        self.tail = None;
        self.successor = Successor::Unseen;
        self.checkpoint.forget();
        Ok(Step::Moved)
    }

    /// Hands a batch over until it is taken: a refusal that passes is waited out.
    async fn deliver(&self, batch: Bytes) -> Delivery {
        let tally = self.intake.counters().of(Source::Flows);
        tally.add_request();
        tally.add_encoded(batch.len());
        let mut backoff = BACKOFF_MIN;
        loop {
            let refusal = match self.offer(batch.clone()).await {
                Reply::Accepted | Reply::Partial { .. } => return Delivery::Taken,
                Reply::Refused { refusal, .. } => refusal,
            };
            tally.add_refused(refusal);
            if !refusal.is_retryable() {
                let lines = batch.iter().filter(|byte| **byte == b'\n').count() as u64;
                tally.add_rejected(lines.max(1));
                tracing::warn!(refusal = refusal.name(), lines, "flow lines refused for good");
                return Delivery::Taken;
            }
            self.pause(backoff).await;
            if self.stop.is_cancelled() {
                return Delivery::Stopped;
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    async fn offer(&self, batch: Bytes) -> Reply {
        let limits = flow::Limits::of(self.intake.settings());
        let hold = match self.intake.hold(Sender::next(), Some(batch.len() as u64), usize::MAX) {
            Ok(hold) => hold,
            Err(denial) => return denial.into(),
        };
        match away(batch, move |text| flow::encode(text, now(), limits, hold)).await {
            Ok((lines, hold)) => lines.deliver(&self.intake, hold).await,
            Err(denial) => denial.into(),
        }
    }

    async fn save(&mut self) {
        let Some(tail) = &self.tail else { return };
        self.saved = Instant::now();
        if let Err(error) = self.checkpoint.save(tail.mark()).await {
            self.report(&error);
        }
    }

    /// Once per trouble, not once per look.
    fn report(&mut self, error: &io::Error) {
        if !self.troubled {
            tracing::warn!(path = %self.path.display(), %error, "cannot follow the file");
        }
        self.troubled = true;
    }

    async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

#[cfg(test)]
mod tests;
