//! Scripts: EVAL and its kin as the core runs them, and the server as a script sees it.
//!
//! A script starts on the shard of its declared keys and runs there as one step, like any command. Undeclared keys
//! simply work: when one lives elsewhere, or an intent stands on it, what the script has done is undone and it begins
//! anew *wide*: as a transaction that holds every shard, on the core of its client. It is remembered as wide.
//!
//! - `run.rs`: one run of a script, from its call to its reply, on the shard of its keys.
//! - `found.rs`: what a call names, and what its flags allow.
//! - `host.rs`: the server as a run sees it; `calls.rs`: the commands that it calls.
//! - `undo.rs`: what a run has changed is put back.
//! - `wide.rs`: scripts that hold every shard.
//! - `commands.rs`: SCRIPT.

mod calls;
mod commands;
mod found;
mod host;
mod run;
mod undo;
mod wide;

use super::observe::Caller;
use crate::commands::context::ClientView;
use crate::commands::{CommandError, RowId};
use crate::resp::Argv;
use crate::types::DbIndex;

pub use commands::BINDINGS;
pub(super) use commands::kill_running;

const NO_SCRIPT: CommandError = CommandError::Line("NOSCRIPT No matching script. Please use EVAL.");

/// How a script went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ScriptDid {
    Replied,
    /// The reply is an error.
    Failed,
    /// The reply is the error of one of its commands, which is counted.
    Relayed,
    /// Nothing is written: it must run wide.
    Wider,
}

/// One call of a script.
#[derive(Clone, Copy)]
pub(super) struct ScriptCall<'a> {
    pub row: RowId,
    pub db: DbIndex,
    pub view: ClientView,
    pub caller: Caller,
    pub argv: Argv<'a>,
}
