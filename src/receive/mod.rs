//! Receive.
