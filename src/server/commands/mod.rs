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

use crate::commands::{CommandError, Part};
use crate::net::Core;
use crate::net::dispatch::After;
use crate::resp::{Argv, Reply};
use crate::runtime::face::{ConnId, NetIo};

/// The text for subcommands that are known to none, as Redis words it where it parses them by hand.
fn unknown_subcommand(word: &[u8], container: &str) -> CommandError {
    CommandError::quoting(
        "ERR unknown subcommand or wrong number of arguments for '",
        word,
        &format!("'. Try {container} HELP."),
    )
}

/// What a broadcast answers whose parts have nothing to tell.
fn merge_ok(
    _: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: Argv<'_>,
    _: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    reply.ok();
    Ok(After::Done)
}
