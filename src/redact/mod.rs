//! Redact.
