//! Which requests came lately, so that those sent again after a restart are known.

use std::collections::VecDeque;
use std::io;

use super::frames::Frames;
use super::shared::Shared;
use super::state::Segment;
use crate::evidence::{Digest, Nanos, Position};

/// A request, and where its batch lies.
type Request = (Digest, Position);

impl Shared {
    /// The digests of the newest batches, newest first. Only headers are read, of the segments
    /// that have what is asked for and no others.
    pub(super) fn recent(&self, since: Nanos, at_most: usize) -> Vec<Request> {
        let segments: Vec<Segment> = self.state().segments.iter().rev().copied().collect();
        let mut found = Vec::new();
        for segment in segments {
            let left = at_most - found.len();
            if left == 0 || segment.newest < since {
                break;
            }
            match self.recent_in(&segment, since, left) {
                Ok(newest) => found.extend(newest.into_iter().rev()),
                Err(error) => {
                    tracing::warn!(%error, base = segment.base, "recent requests not read");
                }
            }
        }
        found
    }

    /// The last of one segment, in order. A header says where the next one is, not the last.
    fn recent_in(
        &self,
        segment: &Segment,
        since: Nanos,
        at_most: usize,
    ) -> io::Result<VecDeque<Request>> {
        let frames = Frames::open(&self.dir, segment.base, segment.end, segment.format)?;
        let mut newest = VecDeque::new();
        let mut at = segment.base;
        while at < segment.end {
            let Some(frame) = frames.frame(at)? else {
                at = frames.next_frame(at)?;
                continue;
            };
            at = frame.next();
            // Batches of the first version of the log have no digest.
            if frame.head.received >= since && frame.head.digest != Digest::default() {
                newest.push_back((frame.head.digest, Position(frame.position)));
                if newest.len() > at_most {
                    newest.pop_front();
                }
            }
        }
        Ok(newest)
    }
}
