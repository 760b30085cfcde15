use bytes::Bytes;

use super::*;

#[test]
fn placeholder() {
    assert_eq!(encoded_len(0), 1);
    assert!(Bytes::new().is_empty());
}
