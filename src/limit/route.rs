//! Stand-in until merged.
use std::borrow::Cow;
pub(super) fn template(path: &str) -> Cow<'_, str> {
    Cow::Borrowed(path)
}
