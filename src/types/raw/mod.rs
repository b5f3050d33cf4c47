//! The leaves that hold bytes by hand: the only rooms under `types` that may use `unsafe`.

pub mod own;
pub mod popcount;
mod prefetch;
pub mod table;

pub use prefetch::{prefetch, prefetch_bytes};
