//! Tests that start the real gateway.

mod tidy;
