//! COMMAND: what commands there are, read off their rows.

use crate::commands::introspect::{CATEGORIES, is_in_category, write_access, write_docs, write_info};
use crate::commands::keys_of::keys_of;
use crate::commands::spec::{Access, Arg, ArgKind, Flags, Group, Row, Run, Shape};
use crate::commands::{Args, CommandError, CommandTable, Entry, RowId};
use crate::net::Core;
use crate::net::dispatch::{After, Bound};
use crate::resp::{Argv, Reply};
use crate::runtime::face::{ConnId, NetIo};
use crate::types::glob::glob_match;

const FLAGS: Flags = Flags::LOADING.and(Flags::STALE);

const NAMES: &[Arg] = &[Arg::new("command-name", ArgKind::String).optional().multiple()];
const REQUEST: &[Arg] =
    &[Arg::new("command", ArgKind::String), Arg::new("arg", ArgKind::String).optional().multiple()];
const FILTERS: &[Arg] = &[
    Arg::new("module-name", ArgKind::String).token("MODULE"),
    Arg::new("category", ArgKind::String).token("ACLCAT"),
    Arg::new("pattern", ArgKind::Pattern).token("PATTERN"),
];

const fn sub(name: &'static str, arity: i16, since: &'static str, summary: &'static str) -> Row {
    Row {
        name,
        arity,
        flags: FLAGS,
        acl: &["connection"],
        group: Group::Server,
        since,
        summary,
        complexity: "O(N) with N commands",
        reply: Shape::Array,
        ..Row::BLANK
    }
}

pub const ROWS: &[Row] = &[Row {
    tips: &["nondeterministic_output_order"],
    run: Run::Container,
    subcommands: &[
        Row { complexity: "O(1)", reply: Shape::Int, ..sub("count", 2, "2.8.13", "Counts the commands.") },
        Row {
            tips: &["nondeterministic_output_order"],
            args: NAMES,
            reply: Shape::Map,
            ..sub("docs", -2, "7.0.0", "Documents commands: summary, group, arguments.")
        },
        Row {
            args: REQUEST,
            complexity: "O(N) with N arguments",
            ..sub("getkeys", -4, "2.8.13", "Tells which arguments of a request are keys.")
        },
        Row {
            args: REQUEST,
            complexity: "O(N) with N arguments",
            ..sub("getkeysandflags", -4, "7.0.0", "Tells the keys of a request and what it does with each.")
        },
        Row { complexity: "O(1)", ..sub("help", 2, "5.0.0", "Lists the subcommands.") },
        Row {
            tips: &["nondeterministic_output_order"],
            args: NAMES,
            ..sub("info", -2, "2.8.13", "Describes commands: arity, flags, keys, categories.")
        },
        Row {
            tips: &["nondeterministic_output_order"],
            args: &[Arg::new("filterby", ArgKind::OneOf(FILTERS)).token("FILTERBY").optional()],
            ..sub("list", -2, "7.0.0", "Lists the names of commands.")
        },
    ],
    ..sub("command", -1, "2.8.13", "Describes all commands.")
}];

pub const BINDINGS: &[(&str, Bound)] = &[
    ("command", Bound::Here(info)),
    ("command|count", Bound::Here(count)),
    ("command|docs", Bound::Here(docs)),
    ("command|getkeys", Bound::Here(getkeys)),
    ("command|getkeysandflags", Bound::Here(getkeysandflags)),
    ("command|help", Bound::Here(help)),
    ("command|info", Bound::Here(info)),
    ("command|list", Bound::Here(list)),
];

type Done = Result<After, CommandError>;

/// Commands, not their subcommands.
fn top_level(table: &CommandTable) -> impl Iterator<Item = (RowId, &Entry)> {
    table.iter().filter(|(_, entry)| entry.parent.is_none())
}

fn count(core: &mut Core, _: &mut dyn NetIo, _: ConnId, _: &mut Args<'_>, reply: &mut Reply<'_>) -> Done {
    reply.int(top_level(core.table).count() as i64);
    Ok(After::Done)
}

fn info(core: &mut Core, _: &mut dyn NetIo, _: ConnId, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Done {
    let table = core.table;
    if args.is_done() {
        reply.array(top_level(table).count());
        top_level(table).for_each(|(id, _)| write_info(table, id, reply));
    } else {
        reply.array(args.left());
        for name in args.rest() {
            match table.find_full(name) {
                Some(id) => write_info(table, id, reply),
                None => reply.null(),
            }
        }
    }
    Ok(After::Done)
}

fn docs(core: &mut Core, _: &mut dyn NetIo, _: ConnId, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Done {
    let table = core.table;
    let ids: Vec<RowId> = if args.is_done() {
        top_level(table).map(|(id, _)| id).collect()
    } else {
        args.rest().filter_map(|name| table.find_full(name)).collect()
    };
    reply.map(ids.len());
    for id in ids {
        reply.bulk(table.entry(id).full_name.as_bytes());
        write_docs(table, id, reply);
    }
    Ok(After::Done)
}

fn list(core: &mut Core, _: &mut dyn NetIo, _: ConnId, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Done {
    enum Filter<'a> {
        None,
        Module,
        Category(&'a [u8]),
        Pattern(&'a [u8]),
    }
    let mut filter = Filter::None;
    while !args.is_done() {
        if !args.token("filterby") || args.left() != 2 {
            return Err(CommandError::Syntax);
        }
        filter = if args.token("module") {
            args.take()?;
            Filter::Module
        } else if args.token("aclcat") {
            Filter::Category(args.take()?)
        } else if args.token("pattern") {
            Filter::Pattern(args.take()?)
        } else {
            return Err(CommandError::Syntax);
        };
    }
    let shown = |entry: &Entry| match filter {
        Filter::None => true,
        // There are no modules yet, so no command belongs to one.
        Filter::Module => false,
        Filter::Category(wanted) => CATEGORIES
            .iter()
            .any(|name| name.as_bytes().eq_ignore_ascii_case(wanted) && is_in_category(entry.row, name)),
        Filter::Pattern(pattern) => glob_match(pattern, entry.full_name.as_bytes(), true),
    };
    let names: Vec<&str> =
        core.table.iter().filter(|(_, entry)| shown(entry)).map(|(_, entry)| entry.full_name).collect();
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name.as_bytes()));
    Ok(After::Done)
}

fn getkeys(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    write_keys(core.table, args, false, reply)
}

fn getkeysandflags(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Done {
    write_keys(core.table, args, true, reply)
}

/// The command of a request, or its subcommand.
fn command_of<'t>(table: &'t CommandTable, argv: Argv<'_>) -> Option<&'t Entry> {
    let id = table.find(argv.get(0))?;
    let entry = table.entry(id);
    if entry.children.is_empty() || argv.len() == 1 {
        return Some(entry);
    }
    table.find_word(id, argv.get(1)).map(|id| table.entry(id))
}

fn write_keys(table: &CommandTable, args: &Args<'_>, flags: bool, reply: &mut Reply<'_>) -> Done {
    let argv = args.argv().tail(2);
    let entry = command_of(table, argv).ok_or(CommandError::Line("ERR Invalid command specified"))?;
    if entry.row.keys.iter().all(|spec| spec.access.has(Access::NOT_KEY)) {
        return Err(CommandError::Line("ERR The command has no key arguments"));
    }
    if !entry.row.arity_accepts(argv.len()) {
        return Err(CommandError::Line("ERR Invalid number of arguments specified for command"));
    }
    let keys = match keys_of(entry.row, argv) {
        Ok(keys) if !keys.is_empty() => keys,
        _ if entry.row.flags.has(Flags::NO_MANDATORY_KEYS) => Default::default(),
        _ => return Err(CommandError::Line("ERR Invalid arguments specified for command")),
    };
    reply.array(keys.len());
    for key in keys {
        if flags {
            reply.array(2);
        }
        reply.bulk(argv.get(key.index));
        if flags {
            let access_of = entry.row.access_of.filter(|_| key.access.has(Access::VARIABLE_FLAGS));
            write_access(access_of.map_or(key.access, |access_of| access_of(argv)), reply);
        }
    }
    Ok(After::Done)
}

fn help(_: &mut Core, _: &mut dyn NetIo, _: ConnId, _: &mut Args<'_>, reply: &mut Reply<'_>) -> Done {
    super::help::write(
        "COMMAND",
        &[
            "(no subcommand)",
            "    Return details about all commands.",
            "COUNT",
            "    Return the total number of commands in this server.",
            "LIST",
            "    Return a list of all commands in this server.",
            "INFO [<command-name> ...]",
            "    Return details about multiple commands.",
            "    If no command names are given, details of all commands are returned.",
            "DOCS [<command-name> ...]",
            "    Return documentation details about multiple commands.",
            "    If no command names are given, documentation details of all",
            "    commands are returned.",
            "GETKEYS <full-command>",
            "    Return the keys from a full command.",
            "GETKEYSANDFLAGS <full-command>",
            "    Return the keys and the access flags from a full command.",
        ],
        reply,
    );
    Ok(After::Done)
}
