//! Join.
