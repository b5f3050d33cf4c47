//! CONFIG: the settings at run time.
//!
//! CONFIG SET is a broadcast. The client's core makes the change and publishes it before any other core is asked;
//! each core, when asked, takes over what is published. So the reply comes when every core runs by the new values.

use super::merge_ok;
use crate::commands::spec::{Arg, ArgKind, Flags, Group, Row, Run, Shape};
use crate::commands::{Args, CommandError, Part};
use crate::config::rewrite::rewrite_file;
use crate::config::{ConfigSetError, SetContext, id};
use crate::net::dispatch::{After, Bound};
use crate::net::{Asker, Core};
use crate::resp::{Argv, Reply};
use crate::runtime::face::{ConnId, NetIo};
use crate::server::{log, settings};
use crate::types::glob::glob_match;

const FLAGS: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE);

const PAIR: &[Arg] = &[Arg::new("parameter", ArgKind::String), Arg::new("value", ArgKind::String)];

const fn sub(name: &'static str, arity: i16, summary: &'static str) -> Row {
    Row {
        name,
        arity,
        flags: FLAGS,
        group: Group::Server,
        since: "2.0.0",
        summary,
        complexity: "O(1)",
        ..Row::BLANK
    }
}

pub const ROWS: &[Row] = &[Row {
    name: "config",
    arity: -2,
    group: Group::Server,
    since: "2.0.0",
    summary: "Reads and changes the configuration.",
    complexity: "Depends on subcommand.",
    run: Run::Container,
    subcommands: &[
        Row {
            args: &[Arg::new("parameter", ArgKind::String).multiple()],
            complexity: "O(N) with N settings",
            reply: Shape::Map,
            ..sub("get", -3, "Shows the settings whose names match.")
        },
        Row {
            since: "5.0.0",
            flags: Flags::LOADING.and(Flags::STALE),
            reply: Shape::Array,
            ..sub("help", 2, "Lists the subcommands.")
        },
        Row {
            reply: Shape::Ok,
            run: Run::Broadcast,
            ..sub("resetstat", 2, "Sets the counters of INFO to zero.")
        },
        Row {
            since: "2.8.0",
            reply: Shape::Ok,
            ..sub("rewrite", 2, "Writes the present values to the configuration file.")
        },
        Row {
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            args: &[Arg::new("data", ArgKind::Block(PAIR)).multiple()],
            complexity: "O(N) with N settings",
            reply: Shape::Ok,
            run: Run::Broadcast,
            ..sub("set", -4, "Changes settings, all of them or none.")
        },
    ],
    ..Row::BLANK
}];

pub const BINDINGS: &[(&str, Bound)] = &[
    ("config|get", Bound::Here(get)),
    ("config|help", Bound::Here(help)),
    ("config|resetstat", Bound::Broadcast { each: reset_each, merge: merge_ok }),
    ("config|rewrite", Bound::Here(rewrite)),
    ("config|set", Bound::Broadcast { each: set_each, merge: merge_ok }),
];

type Done = Result<After, CommandError>;

fn get(core: &mut Core, _: &mut dyn NetIo, _: ConnId, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Done {
    let patterns: Vec<&[u8]> = args.rest().collect();
    // What is published, not what this core runs by: another core's change counts once it is answered.
    let config = core.shared.config();
    let found = config.get(&patterns, &|pattern, name| glob_match(pattern, name.as_bytes(), true));
    reply.map(found.len());
    for (name, value) in &found {
        reply.bulk(name);
        reply.bulk(value);
    }
    Ok(After::Done)
}

fn set_each(core: &mut Core, io: &mut dyn NetIo, asker: Asker, argv: Argv<'_>) -> Result<Part, CommandError> {
    if asker.core == core.me {
        change(core, asker, argv)?;
    }
    settings::take_over(core, io);
    Ok(Part::Nothing)
}

/// Makes the change and publishes it, or nothing.
fn change(core: &mut Core, asker: Asker, argv: Argv<'_>) -> Result<(), CommandError> {
    if !argv.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let words: Vec<&[u8]> = argv.iter().skip(2).collect();
    let pairs: Vec<(&[u8], &[u8])> = words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let context = SetContext {
        loading: false,
        protected_allowed: core.is_allowed(id::ENABLE_PROTECTED_CONFIGS, asker.client),
    };
    let shared = core.shared.clone();
    let _alone = shared.config_change.lock().expect("no holder panics");
    let old = shared.config();
    let mut next = (*old).clone();
    let changed = next.set_many(&pairs, context).map_err(refusal)?;
    settings::carry_out(&shared, &old, &next, &changed).map_err(refusal)?;
    shared.set_config(next);
    Ok(())
}

fn refusal(error: ConfigSetError) -> CommandError {
    CommandError::text(match error {
        ConfigSetError::Loading => format!("LOADING {error}"),
        _ => format!("ERR {error}"),
    })
}

fn rewrite(core: &mut Core, _: &mut dyn NetIo, _: ConnId, _: &mut Args<'_>, reply: &mut Reply<'_>) -> Done {
    let shared = &core.shared;
    let _alone = shared.config_change.lock().expect("no holder panics");
    match rewrite_file(shared.config_file.as_deref(), &shared.config(), &[]) {
        Ok(()) => {
            log::notice("CONFIG REWRITE executed with success.");
            reply.ok();
            Ok(After::Done)
        }
        Err(error) => {
            log::warning(format!("CONFIG REWRITE failed: {error}"));
            Err(CommandError::text(format!("ERR {error}")))
        }
    }
}

fn reset_each(core: &mut Core, _: &mut dyn NetIo, asker: Asker, _: Argv<'_>) -> Result<Part, CommandError> {
    if asker.core == core.me {
        core.shared.reset_stats();
    }
    core.reset_stats();
    Ok(Part::Nothing)
}

fn help(_: &mut Core, _: &mut dyn NetIo, _: ConnId, _: &mut Args<'_>, reply: &mut Reply<'_>) -> Done {
    super::help::write(
        "CONFIG",
        &[
            "GET <pattern>",
            "    Return parameters matching the glob-like <pattern> and their values.",
            "SET <directive> <value>",
            "    Set the configuration <directive> to <value>.",
            "RESETSTAT",
            "    Reset statistics reported by the INFO command.",
            "REWRITE",
            "    Rewrite the configuration file.",
        ],
        reply,
    );
    Ok(After::Done)
}
