//! The virtual machine: PUC Lua 5.1 in Redis's sandbox, with Redis's libraries.
//!
//! ```text
//! engine    sets a machine up, compiles, runs        raw      Lua's C interface
//! prelude   the sandbox, in Lua                      guard    checks around Lua's own functions
//! convert   replies <-> values                       libs     bit cjson cmsgpack struct redis
//! state     what belongs to a machine, and its host
//! ```
//!
//! A script knows the server through [`Host`] alone, so all of this is tested without one.
//!
//! Lua's C interface is used directly where a script can tell the difference: errors that are tables, positions in
//! error texts, and what a C function costs. So this folder holds unsafe code; `raw.rs` states the rules.

pub mod convert;
pub mod engine;
pub mod guard;
pub mod libs;
pub mod raw;
pub mod state;
#[cfg(test)]
mod tests;

pub use engine::{Chunk, End, Engine, Given, NO_MEMORY};
pub use state::{Called, Declared, Host, Stop};
