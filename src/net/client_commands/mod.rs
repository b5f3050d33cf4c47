//! CLIENT: what a connection says about itself, what it may know about others, and what it may do to them.
//!
//! LIST, KILL, PAUSE and UNPAUSE ask every core, because every core knows its own clients only.

pub mod attributes;
pub mod filter;
pub mod others;
pub mod pause;
mod rows;
pub mod tracking;

use crate::commands::CommandError;
use crate::resp::Argv;

pub use rows::{BINDINGS, ROWS};

/// More words than a subcommand knows.
fn too_many_words(argv: Argv<'_>) -> CommandError {
    let before = "ERR unknown subcommand or wrong number of arguments for '";
    CommandError::quoting(before, argv.get(1), "'. Try CLIENT HELP.")
}
