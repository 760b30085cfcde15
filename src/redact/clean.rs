//! The proof that a request was redacted.

use bytes::Bytes;

use crate::evidence::Head;

/// A request without secrets. Only this folder can make one.
#[derive(Clone, Debug)]
pub struct Clean {
    head: Head,
    bytes: Bytes,
}

impl Clean {
    pub(super) fn new(head: Head, bytes: Bytes) -> Self {
        Self { head, bytes }
    }

    /// What is known of it beside its bytes.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The OTLP request.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Unit tests of later stages make their own.
    #[cfg(test)]
    pub(crate) fn for_test(head: Head, bytes: Bytes) -> Self {
        Self { head, bytes }
    }
}
