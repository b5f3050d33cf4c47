//! What a call of a script names, and what its flags allow.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::NO_SCRIPT;
use crate::commands::CommandError;
use crate::commands::spec::Row;
use crate::net::shared::Shared;
use crate::resp::Argv;
use crate::script::functions::Library;
use crate::script::gate::Gates;
use crate::script::lua::Chunk;
use crate::script::{Cache, Flags, Script};

/// What a call names.
pub(super) enum Found {
    Script(Arc<Script>, Chunk),
    Function(Arc<Library>, usize),
}

impl Found {
    pub(super) fn new(
        cache: &mut Cache,
        shared: &Shared,
        row: &Row,
        argv: Argv<'_>,
    ) -> Result<Found, CommandError> {
        let name = argv.get(1);
        let found = match row.name {
            "fcall" | "fcall_ro" => {
                let found = shared.scripts.libraries.find(name);
                let (library, place) = found.ok_or(CommandError::Line("ERR Function not found"))?;
                return Ok(Found::Function(library, place));
            }
            "evalsha" | "evalsha_ro" => cache.of_sha(&shared.scripts, name).ok_or(NO_SCRIPT)?,
            _ => cache.of_source(&shared.scripts, name),
        };
        found.map(|(script, chunk)| Found::Script(script, chunk)).map_err(CommandError::text)
    }

    pub(super) fn is_function(&self) -> bool {
        matches!(self, Found::Function(..))
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Found::Script(script, _) => script.name(),
            Found::Function(library, place) => &library.functions[*place].name,
        }
    }

    pub(super) fn flags(&self) -> Option<Flags> {
        match self {
            Found::Script(script, _) => script.flags,
            Found::Function(library, place) => Some(library.functions[*place].flags),
        }
    }

    pub(super) fn is_wide(&self) -> &AtomicBool {
        match self {
            Found::Script(script, _) => &script.is_wide,
            Found::Function(library, place) => &library.functions[*place].is_wide,
        }
    }

    pub(super) fn chunk(&self, cache: &mut Cache, shared: &Shared) -> Result<Chunk, CommandError> {
        match self {
            Found::Script(_, chunk) => Ok(*chunk),
            Found::Function(library, place) => cache
                .function(&shared.scripts.libraries, library, *place, &shared.log)
                .map_err(CommandError::text),
        }
    }
}

/// What holds for a run, or why there is none.
pub(super) fn gates_of(flags: Option<Flags>, gates: Gates) -> Result<Gates, CommandError> {
    let Some(flags) = flags else { return Ok(gates) };
    let no_writes = flags.has(Flags::NO_WRITES);
    if gates.read_only && !no_writes {
        return Err(CommandError::Line("ERR Can not execute a script with write flag using *_ro command."));
    }
    if gates.cannot_save && !no_writes {
        return Err(CommandError::CannotSave);
    }
    if let Some(errno) = gates.cannot_log
        && !no_writes
    {
        return Err(CommandError::CannotLog(errno));
    }
    if gates.lacks_replicas && !no_writes {
        return Err(CommandError::NoReplicas);
    }
    Ok(Gates {
        read_only: gates.read_only || no_writes,
        out_of_memory: gates.out_of_memory && !flags.has(Flags::ALLOW_OOM),
        ..gates
    })
}
