//! The body of a request.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A request as it goes over the wire, piece after piece: what needs no change is still the log's
/// memory. Clones share the pieces, so each attempt sends the same.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) pieces: Arc<[Bytes]>,
    next: usize,
    left: usize,
}

impl Packed {
    pub(super) fn new(pieces: Vec<Bytes>) -> Self {
        let left = pieces.iter().map(Bytes::len).sum();
        Self { pieces: pieces.into(), next: 0, left }
    }

    /// Bytes that are not sent yet.
    pub(super) fn len(&self) -> usize {
        self.left
    }
}

impl Body for Packed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let piece = this.pieces.get(this.next).cloned();
        this.next += 1;
        this.left -= piece.as_ref().map_or(0, Bytes::len);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.next >= self.pieces.len()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}
