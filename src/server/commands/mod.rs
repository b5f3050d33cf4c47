//! Commands about the server itself.

pub mod about;
pub mod command;
pub mod config;
pub mod debug;
mod digest;
mod help;
pub mod info;
pub mod latency;
pub mod lolwut;
pub mod memory;
pub mod monitor;
mod object;
pub mod save;
pub mod shutdown;
pub mod slowlog;

use crate::resp::Reply;

/// The text for subcommands that are known to none, as Redis words it where it parses them by hand.
fn unknown_subcommand(word: &[u8], container: &str) -> crate::commands::CommandError {
    crate::commands::CommandError::quoting(
        "ERR unknown subcommand or wrong number of arguments for '",
        word,
        &format!("'. Try {container} HELP."),
    )
}

/// A HELP reply.
fn write_help(container: &str, lines: &[&str], reply: &mut Reply<'_>) {
    help::write(container, lines, reply);
}
