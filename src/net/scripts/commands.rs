//! SCRIPT.

use super::NO_SCRIPT;
use crate::commands::{Args, CommandError};
use crate::net::busy::busy_error;
use crate::net::core::Core;
use crate::net::dispatch::{After, Bound};
use crate::resp::Reply;
use crate::runtime::face::{ConnId, NetIo};
use crate::script::Kill;

/// What the registry binds.
pub const BINDINGS: &[(&str, Bound)] = &[
    ("script|load", Bound::Here(load)),
    ("script|exists", Bound::Here(exists)),
    ("script|flush", Bound::Here(flush)),
    ("script|kill", Bound::Here(kill)),
    ("script|debug", Bound::Here(debug)),
    ("script|show", Bound::Here(show)),
    ("script|help", Bound::Here(help)),
];

fn load(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let source = args.take()?;
    let mut cache = core.scripts.take().unwrap_or_default();
    let loaded = cache.of_source(&core.shared.scripts, source);
    core.scripts = Some(cache);
    let (script, _) = loaded.map_err(CommandError::text)?;
    reply.bulk(&script.sha);
    Ok(After::Done)
}

fn exists(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    reply.array(args.left());
    for sha in args.rest() {
        reply.int(i64::from(core.shared.scripts.find(sha).is_some()));
    }
    Ok(After::Done)
}

fn flush(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let known = args.left() == 0 || (args.left() == 1 && (args.token("sync") || args.token("async")));
    if !known {
        return Err(CommandError::Line("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
    }
    core.shared.scripts.flush();
    reply.ok();
    Ok(After::Done)
}

fn kill(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    kill_running(core, false, reply)
}

/// SCRIPT KILL and FUNCTION KILL.
pub(in crate::net) fn kill_running(
    core: &mut Core,
    function: bool,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    match core.shared.scripts.kill(function) {
        Kill::NothingRuns => Err(CommandError::Line("NOTBUSY No scripts in execution right now.")),
        Kill::HasWritten => Err(CommandError::Line(
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the \
             script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
        )),
        Kill::OtherKind => Err(busy_error(!function)),
        Kill::Told => {
            reply.ok();
            Ok(After::Done)
        }
    }
}

/// There is no debugger; NO is what scripts are run with anyway.
fn debug(
    _: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    if args.token("no") {
        reply.ok();
        return Ok(After::Done);
    }
    if args.token("yes") || args.token("sync") {
        return Err(CommandError::Line("ERR The script debugger is not available"));
    }
    Err(CommandError::Line("ERR Use SCRIPT DEBUG YES/SYNC/NO"))
}

fn show(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let script = core.shared.scripts.find(args.take()?).ok_or(NO_SCRIPT)?;
    reply.bulk(&script.source);
    Ok(After::Done)
}

fn help(
    _: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    const LINES: &[&str] = &[
        "SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DEBUG (YES|SYNC|NO)",
        "    Set how scripts are debugged.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Tell which of these scripts are known.",
        "FLUSH [ASYNC|SYNC]",
        "    Forget all scripts.",
        "KILL",
        "    End the script that runs.",
        "LOAD <script>",
        "    Make a script known without running it.",
        "SHOW <sha1>",
        "    Show the source of a script.",
        "HELP",
        "    Prints this help.",
    ];
    reply.array(LINES.len());
    LINES.iter().for_each(|line| reply.simple(line));
    Ok(After::Done)
}
