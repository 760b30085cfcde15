//! The `hopline` program.

fn main() {}
