//! What a script may call: the gates between `redis.call` and a command.

use crate::commands::spec::Flags as CommandFlags;
use crate::commands::{CommandError, CommandTable, Entry, RowId};
use crate::resp::Argv;

/// What holds for one run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gates {
    /// EVAL_RO and its like, or a script that says that it does not write.
    pub read_only: bool,
    /// Memory was short when the script began, and it was not allowed to ignore that.
    pub out_of_memory: bool,
    /// `min-replicas-to-write` is not met.
    pub lacks_replicas: bool,
    /// Snapshots fail, and writes are refused until one does not.
    pub cannot_save: bool,
    /// Why the append-only file cannot be written.
    pub cannot_log: Option<i32>,
    /// Commands that are not for scripts are allowed too.
    pub deny_nothing: bool,
}

/// The row of a request, subcommands resolved.
pub fn find(table: &CommandTable, argv: Argv<'_>) -> Option<RowId> {
    let row = table.find(argv.get(0))?;
    let entry = table.entry(row);
    if entry.children.is_empty() || argv.len() < 2 {
        return Some(row);
    }
    table.find_word(row, argv.get(1))
}

/// Redis's checks of a command that there is, in its order.
pub fn admit(entry: &Entry, argv: Argv<'_>, gates: Gates, has_written: bool) -> Result<(), CommandError> {
    if !entry.row.arity_accepts(argv.len()) {
        return Err(CommandError::Line("ERR Wrong number of args calling Redis command from script"));
    }
    if entry.row.flags.has(CommandFlags::NOSCRIPT) && !gates.deny_nothing {
        return Err(CommandError::Line("ERR This Redis command is not allowed from script"));
    }
    // Redis: what others may hear of, as a message, is a write in this respect.
    let may_write = entry.is_write || entry.row.flags.has(CommandFlags::MAY_REPLICATE);
    if may_write && gates.read_only {
        return Err(CommandError::Line("ERR Write commands are not allowed from read-only scripts."));
    }
    if entry.is_write && gates.lacks_replicas {
        return Err(CommandError::NoReplicas);
    }
    if entry.is_write && gates.cannot_save {
        return Err(CommandError::CannotSave);
    }
    if entry.is_write
        && let Some(errno) = gates.cannot_log
    {
        return Err(CommandError::CannotLog(errno));
    }
    if entry.deny_oom && gates.out_of_memory && !has_written {
        return Err(CommandError::OutOfMemory);
    }
    Ok(())
}

/// How many keys a script is given; they begin at argument 3. `no_number`: the error when that is none.
pub fn key_count(argv: Argv<'_>, no_number: CommandError) -> Result<usize, CommandError> {
    let count = crate::types::number::parse_i64(argv.get(2)).ok_or(no_number)?;
    if count > argv.len() as i64 - 3 {
        return Err(CommandError::Line("ERR Number of keys can't be greater than number of args"));
    }
    usize::try_from(count).map_err(|_| CommandError::Line("ERR Number of keys can't be negative"))
}
