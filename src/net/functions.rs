//! FUNCTION: libraries. FCALL runs as every script does (`scripts`).
//!
//! INVARIANT: libraries change on the first core only, whose log has the changes in their order, and which says what there is
//! where a snapshot of its shard begins. On two cores at once they would come into the file in either order, and one
//! between a snapshot's list and its serial point would be in neither.

use std::sync::atomic::Ordering;

use super::batch::Asker;
use super::busy::busy_error;
use super::core::Core;
use super::dispatch::{After, Bound};
use crate::commands::{Args, CommandError, Part};
use crate::rdb::functions::{dump_functions, restore_functions};
use crate::resp::{Argv, Output, Reply};
use crate::runtime::face::{ConnId, NetIo};
use crate::script::Flags;
use crate::script::functions::{Existing, Library};
use crate::types::glob::glob_match;
use crate::types::{DbIndex, ShardId};

/// What the registry binds.
pub const BINDINGS: &[(&str, Bound)] = &[
    ("function|load", Bound::Broadcast { each, merge }),
    ("function|delete", Bound::Broadcast { each, merge }),
    ("function|flush", Bound::Broadcast { each, merge }),
    ("function|list", Bound::Here(list)),
    ("function|dump", Bound::Here(dump)),
    ("function|restore", Bound::Broadcast { each, merge }),
    ("function|stats", Bound::Here(stats)),
    ("function|kill", Bound::Here(kill)),
    ("function|help", Bound::Here(help)),
];

/// More arguments than a subcommand knows.
fn syntax(args: &Args<'_>) -> CommandError {
    let text = "ERR unknown subcommand or wrong number of arguments for '";
    CommandError::quoting(text, args.argv().get(1), "'. Try FUNCTION HELP.")
}

type Answer = Result<After, CommandError>;

/// Where libraries change.
const CHANGER: ShardId = ShardId(0);
/// The place of the first argument behind FUNCTION and its subcommand.
const FIRST: usize = 2;

impl Core {
    /// Takes over a library that was read from a file.
    pub fn load_function(&mut self, source: Vec<u8>, replace: bool) -> Result<(), String> {
        let text = |error: CommandError| String::from_utf8_lossy(&error.line()).into_owned();
        let libraries = self.load_libraries(&[source]).map_err(text)?;
        let existing = if replace { Existing::Replace } else { Existing::Refuse };
        self.shared.scripts.libraries.add(libraries, existing, false, true)
    }

    /// Logs a change of the libraries, which means the same whenever it is repeated.
    fn log_as_it_came(&mut self, argv: Argv<'_>) {
        if let Some(log) = &mut self.shard.log {
            log.push(DbIndex(0), argv.iter());
        }
    }

    /// Runs the sources of libraries; what they are.
    fn load_libraries(&mut self, sources: &[Vec<u8>]) -> Result<Vec<Library>, CommandError> {
        let mut cache = self.scripts.take().unwrap_or_default();
        let shared = &self.shared;
        let loaded = sources
            .iter()
            .map(|source| cache.load_library(&shared.scripts.libraries, source, &shared.log))
            .collect::<Result<Vec<_>, _>>();
        self.scripts = Some(cache);
        loaded.map_err(CommandError::text)
    }
}

type Change = fn(&mut Core, &mut Args<'_>, &mut Reply<'_>) -> Result<(), CommandError>;

/// The subcommands that change libraries.
const CHANGES: &[(&str, Change)] =
    &[("load", load), ("delete", delete), ("flush", flush), ("restore", restore)];

/// Has the changer's core do it, and nobody else.
fn each(core: &mut Core, _: &mut dyn NetIo, asker: Asker, argv: Argv<'_>) -> Result<Part, CommandError> {
    if core.me != CHANGER {
        return Ok(Part::Nothing);
    }
    let subcommand = argv.get(FIRST - 1);
    let is_it = |(name, _): &&(&str, Change)| subcommand.eq_ignore_ascii_case(name.as_bytes());
    let (_, change) = CHANGES.iter().find(is_it).expect("bound to the subcommands that change");
    let mut output = Output::default();
    change(core, &mut Args::new(argv, FIRST), &mut Reply::new(&mut output, asker.protocol))?;
    Ok(Part::Output(output))
}

fn merge(
    _: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Answer {
    for part in parts {
        if let Part::Output(mut output) = part {
            reply.out.append(&mut output);
        }
    }
    Ok(After::Done)
}

fn load(core: &mut Core, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let mut existing = Existing::Refuse;
    while args.left() > 1 {
        if args.token("replace") {
            existing = Existing::Replace;
            continue;
        }
        return Err(CommandError::quoting("ERR Unknown option given: ", args.take()?, ""));
    }
    if core.shard.over_limit() && !core.shard.make_room() {
        return Err(CommandError::OutOfMemory);
    }
    let argv = args.argv();
    let source = args.take()?.to_vec();
    let libraries = core.load_libraries(&[source])?;
    let name = libraries[0].name.clone();
    core.shared.scripts.libraries.add(libraries, existing, false, false).map_err(CommandError::text)?;
    core.log_as_it_came(argv);
    reply.bulk(name.as_bytes());
    Ok(())
}

fn delete(core: &mut Core, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    if !core.shared.scripts.libraries.delete(args.take()?) {
        return Err(CommandError::Line("ERR Library not found"));
    }
    core.log_as_it_came(args.argv());
    reply.ok();
    Ok(())
}

fn flush(core: &mut Core, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    if args.left() > 1 {
        return Err(syntax(args));
    }
    let known = args.left() == 0 || (args.left() == 1 && (args.token("sync") || args.token("async")));
    if !known {
        return Err(CommandError::Line("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
    }
    core.shared.scripts.libraries.flush();
    core.log_as_it_came(args.argv());
    reply.ok();
    Ok(())
}

fn list(core: &mut Core, _: &mut dyn NetIo, _: ConnId, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Answer {
    let (mut with_code, mut pattern) = (false, None);
    while !args.is_done() {
        if !with_code && args.token("withcode") {
            with_code = true;
        } else if pattern.is_none() && args.token("libraryname") {
            pattern =
                Some(args.take().map_err(|_| CommandError::Line("ERR library name argument was not given"))?);
        } else {
            return Err(CommandError::quoting("ERR Unknown argument ", args.take()?, ""));
        }
    }
    let mut libraries = core.shared.scripts.libraries.all();
    libraries
        .retain(|library| pattern.is_none_or(|pattern| glob_match(pattern, library.name.as_bytes(), true)));
    reply.array(libraries.len());
    for library in libraries {
        reply.map(3 + usize::from(with_code));
        reply.bulk(b"library_name");
        reply.bulk(library.name.as_bytes());
        reply.bulk(b"engine");
        reply.bulk(b"LUA");
        reply.bulk(b"functions");
        reply.array(library.functions.len());
        for function in &library.functions {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(function.name.as_bytes());
            reply.bulk(b"description");
            match &function.description {
                Some(description) => reply.bulk(description),
                None => reply.null(),
            }
            reply.bulk(b"flags");
            let flags = Flags::ALL.iter().filter(|(flag, _)| function.flags.has(*flag));
            reply.set(flags.clone().count());
            flags.for_each(|(_, name)| reply.simple(name));
        }
        if with_code {
            reply.bulk(b"library_code");
            reply.bulk(&library.source);
        }
    }
    Ok(After::Done)
}

fn dump(core: &mut Core, _: &mut dyn NetIo, _: ConnId, _: &mut Args<'_>, reply: &mut Reply<'_>) -> Answer {
    let libraries = core.shared.scripts.libraries.all();
    reply.bulk(&dump_functions(libraries.iter().map(|library| &*library.source)));
    Ok(After::Done)
}

fn restore(core: &mut Core, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    if core.shard.over_limit() && !core.shard.make_room() {
        return Err(CommandError::OutOfMemory);
    }
    let payload = args.take()?;
    let (existing, flush) = match args.peek() {
        None => (Existing::Refuse, false),
        Some(_) if args.left() > 1 => return Err(syntax(args)),
        Some(_) if args.token("append") => (Existing::Refuse, false),
        Some(_) if args.token("replace") => (Existing::Replace, false),
        Some(_) if args.token("flush") => (Existing::Refuse, true),
        Some(_) => {
            return Err(CommandError::Line(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
    };
    let sources = restore_functions(payload).map_err(|error| match error {
        crate::rdb::RdbError::Checksum | crate::rdb::RdbError::TooNew(_) => CommandError::BadDumpFooter,
        _ => CommandError::Line("ERR failed loading functions"),
    })?;
    let libraries = core.load_libraries(&sources)?;
    core.shared.scripts.libraries.add(libraries, existing, flush, true).map_err(CommandError::text)?;
    core.log_as_it_came(args.argv());
    reply.ok();
    Ok(())
}

fn stats(core: &mut Core, _: &mut dyn NetIo, _: ConnId, _: &mut Args<'_>, reply: &mut Reply<'_>) -> Answer {
    if let Some(busy) = core.busy_somewhere().filter(|busy| !busy.is_function) {
        return Err(busy_error(busy.is_function));
    }
    let scripts = &core.shared.scripts;
    let runs = |running: &&crate::script::store::Running| {
        running.since_ms.load(Ordering::Acquire) != 0 && running.is_function.load(Ordering::Relaxed)
    };
    reply.map(2);
    reply.bulk(b"running_script");
    match scripts.running.iter().find(runs) {
        None => reply.null(),
        Some(running) => {
            let what = running.what.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(what.0.as_bytes());
            reply.bulk(b"command");
            reply.array(what.1.len());
            what.1.iter().for_each(|word| reply.bulk(word));
            reply.bulk(b"duration_ms");
            reply.int(core.now_ms.saturating_sub(running.since_ms.load(Ordering::Relaxed)) as i64);
        }
    }
    let libraries = scripts.libraries.all();
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(b"LUA");
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.int(libraries.len() as i64);
    reply.bulk(b"functions_count");
    reply.int(libraries.iter().map(|library| library.functions.len() as i64).sum());
    Ok(After::Done)
}

fn kill(core: &mut Core, _: &mut dyn NetIo, _: ConnId, _: &mut Args<'_>, reply: &mut Reply<'_>) -> Answer {
    super::scripts::kill_running(core, true, reply)
}

fn help(_: &mut Core, _: &mut dyn NetIo, _: ConnId, _: &mut Args<'_>, reply: &mut Reply<'_>) -> Answer {
    const LINES: &[&str] = &[
        "FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "LOAD [REPLACE] <FUNCTION CODE>",
        "    Make a library known.",
        "DELETE <LIBRARY NAME>",
        "    Forget a library.",
        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        "    Show libraries and their functions, with their sources if wanted.",
        "STATS",
        "    Show the function that runs, if any, and how many there are.",
        "KILL",
        "    End the function that runs.",
        "FLUSH [ASYNC|SYNC]",
        "    Forget all libraries.",
        "DUMP",
        "    Show all libraries in the form that RESTORE takes.",
        "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
        "    Make the libraries of a dump known: instead of all others, besides them (the default),",
        "    or instead of those of the same names.",
        "HELP",
        "    Prints this help.",
    ];
    reply.array(LINES.len());
    LINES.iter().for_each(|line| reply.simple(line));
    Ok(After::Done)
}
