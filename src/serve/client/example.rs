//! A status as a gateway that is well gives it, for tests to change.

use std::path::Path;

use serde_json::Value;

use super::Snapshot;

/// What the gateway answered after four minutes of the demo.
pub(crate) fn answer() -> Value {
    serde_json::from_str(include_str!("example.json")).unwrap()
}

/// That answer with other values at some places, as JSON pointers.
pub(crate) fn snapshot(changes: &[(&str, Value)]) -> Snapshot {
    let mut answer = answer();
    for (place, value) in changes {
        *answer.pointer_mut(place).unwrap_or_else(|| panic!("{place} is there")) = value.clone();
    }
    Snapshot::read(&answer).unwrap()
}

/// Holds what is shown against a file; `UPDATE_DOCS=1` writes the file anew.
pub(crate) fn compare(file: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/serve").join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(got == want, "{file} is not what is shown:\n{got}");
}
