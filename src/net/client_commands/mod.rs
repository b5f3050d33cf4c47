//! CLIENT: what a connection says about itself, what it may know about others, and what it may do to them.
//!
//! LIST, KILL, PAUSE and UNPAUSE ask every core, because every core knows its own clients only.

pub mod attributes;
pub mod filter;
pub mod others;
pub mod pause;
mod rows;
pub mod tracking;

pub use rows::{BINDINGS, ROWS};
