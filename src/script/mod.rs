//! Scripts: Lua programs that run where the data is, as one step.
//!
//! This room knows Lua and what a script is. How a script's commands find their shard is the business of
//! `net/scripts.rs`, which is the [`Host`](lua::Host) of every run.

pub mod cache;
pub mod flags;
pub mod functions;
pub mod gate;
pub mod lua;
pub mod rows;
pub mod store;

pub use cache::Cache;
pub use flags::Flags;
pub use store::{Kill, Script, Scripts};
