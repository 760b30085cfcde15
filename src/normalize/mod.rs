//! Normalize.
