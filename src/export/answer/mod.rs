//! What a destination's answer means.

pub(super) mod grpc;
pub(super) mod http;

use std::time::Duration;

use crate::wire::{Fields, Malformed};

/// An answer that asks for more than this is not believed.
const RETRY_MAX: Duration = Duration::from_secs(300);

/// Said of a success whose answer says nothing.
const UNREADABLE: &str = "it took the request, and its answer cannot be read";

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// All but `rejected` items are taken; the message is a warning when all are.
    Accepted { rejected: u64, message: String },
    /// It must not be sent again.
    Refused { message: String },
    /// It was not decided on.
    Retry { after: Option<Duration>, message: String },
}

impl Answer {
    /// Nothing was decided, for a reason that the destination did not give.
    pub(super) fn retry(message: impl Into<String>) -> Self {
        Self::Retry { after: None, message: message.into() }
    }

    /// An unreadable success is a success: sending again would only make duplicates.
    fn accepted(response: Option<&[u8]>) -> Self {
        let read = response.and_then(|response| partial_success(response).ok());
        let (rejected, message) = read.unwrap_or_else(|| (0, UNREADABLE.to_owned()));
        Self::Accepted { rejected, message }
    }
}

/// `Export*ServiceResponse.partial_success`: the three signals number their fields alike.
fn partial_success(response: &[u8]) -> Result<(u64, String), Malformed> {
    let (mut rejected, mut text) = (0, String::new());
    for field in Fields::new(response) {
        let field = field?;
        if field.number != 1 {
            continue;
        }
        for field in Fields::new(field.bytes()?) {
            let field = field?;
            match field.number {
                // A negative count is no count.
                1 => rejected = i64::try_from(field.number()?).map_or(0, i64::unsigned_abs),
                2 => field.text()?.clone_into(&mut text),
                _ => {}
            }
        }
    }
    Ok((rejected, text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_unreadable_success_is_a_success_with_a_warning() {
        for response in [None, Some(&b"\x0a\xff"[..]), Some(b"<html>"), Some(b"\x0a\x02\x12\x05")] {
            let message = UNREADABLE.to_owned();
            assert_eq!(Answer::accepted(response), Answer::Accepted { rejected: 0, message });
        }
        let all = Answer::Accepted { rejected: 0, message: String::new() };
        assert_eq!(Answer::accepted(Some(b"")), all);
        let some = Answer::Accepted { rejected: 3, message: "x".to_owned() };
        assert_eq!(Answer::accepted(Some(b"\x0a\x05\x08\x03\x12\x01x")), some);
    }

    proptest! {
        #[test]
        fn no_answer_is_a_panic(body in prop::collection::vec(any::<u8>(), 0..60)) {
            drop(Answer::accepted(Some(&body)));
        }
    }
}
