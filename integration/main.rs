//! Tests that start the real gateway.
