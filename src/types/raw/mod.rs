//! The leaves that hold bytes by hand: the only rooms under `types` that may use `unsafe`.

pub mod own;
pub mod popcount;
pub mod table;
