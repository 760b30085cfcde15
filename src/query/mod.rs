//! Query.

mod render;

pub use render::render;
