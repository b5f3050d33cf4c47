//! SLOWLOG and COMMANDLOG: the commands that were slow or large, over all cores.

use super::info::gathered;
use super::merge_ok;
use crate::commands::spec::{Arg, ArgKind, Flags, Group, Outcome, Row, Run, Shape};
use crate::commands::{Args, CommandError, Part};
use crate::config::id;
use crate::net::dispatch::{After, Bound};
use crate::net::{Asker, Core};
use crate::observe::slowlog::{Log, Logged, Which, merge, write};
use crate::resp::{Argv, Reply};
use crate::runtime::face::{ConnId, NetIo};
use crate::types::number::parse_i64;

const ADMIN: Flags = Flags::ADMIN.and(Flags::LOADING).and(Flags::STALE);

/// A subcommand of either.
const SUB: Row =
    Row { flags: ADMIN, group: Group::Server, since: "2.2.12", run: Run::Broadcast, ..Row::BLANK };

const HELP: Row = Row {
    name: "help",
    arity: 2,
    flags: Flags::LOADING.and(Flags::STALE),
    group: Group::Server,
    since: "6.2.0",
    summary: "Lists the subcommands.",
    complexity: "O(1)",
    reply: Shape::Array,
    ..Row::BLANK
};

const TYPE: Arg = Arg::new(
    "type",
    ArgKind::OneOf(&[
        Arg::word("slow", "SLOW"),
        Arg::word("large-request", "LARGE-REQUEST"),
        Arg::word("large-reply", "LARGE-REPLY"),
    ]),
);

/// The rows of both logs.
pub const ROWS: &[Row] = &[
    Row {
        name: "slowlog",
        arity: -2,
        group: Group::Server,
        since: "2.2.12",
        summary: "Container of the slow log's commands.",
        complexity: "Depends on the subcommand.",
        run: Run::Container,
        subcommands: &[
            Row {
                name: "get",
                arity: -2,
                summary: "Shows the newest entries of the slow log.",
                complexity: "O(N) with N entries shown",
                tips: &["request_policy:all_nodes", "nondeterministic_output"],
                args: &[Arg::new("count", ArgKind::Integer).optional()],
                reply: Shape::Array,
                ..SUB
            },
            Row {
                name: "len",
                arity: 2,
                summary: "Counts the entries of the slow log.",
                complexity: "O(1)",
                tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
                reply: Shape::Int,
                ..SUB
            },
            Row {
                name: "reset",
                arity: 2,
                summary: "Empties the slow log.",
                complexity: "O(N) with N entries",
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                reply: Shape::Ok,
                ..SUB
            },
            Row { run: Run::Local(slowlog_help), ..HELP },
        ],
        ..Row::BLANK
    },
    Row {
        name: "commandlog",
        arity: -2,
        group: Group::Server,
        since: "8.1.0",
        summary: "Container of the commands about slow and large commands.",
        complexity: "Depends on the subcommand.",
        run: Run::Container,
        subcommands: &[
            Row {
                name: "get",
                arity: 4,
                since: "8.1.0",
                summary: "Shows the newest entries of a log.",
                complexity: "O(N) with N entries shown",
                tips: &["request_policy:all_nodes", "nondeterministic_output"],
                args: &[Arg::new("count", ArgKind::Integer), TYPE],
                reply: Shape::Array,
                ..SUB
            },
            Row {
                name: "len",
                arity: 3,
                since: "8.1.0",
                summary: "Counts the entries of a log.",
                complexity: "O(1)",
                tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
                args: &[TYPE],
                reply: Shape::Int,
                ..SUB
            },
            Row {
                name: "reset",
                arity: 3,
                since: "8.1.0",
                summary: "Empties a log.",
                complexity: "O(N) with N entries",
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                args: &[TYPE],
                reply: Shape::Ok,
                ..SUB
            },
            Row { run: Run::Local(commandlog_help), since: "8.1.0", ..HELP },
        ],
        ..Row::BLANK
    },
];

/// What the registry binds.
pub const BINDINGS: &[(&str, Bound)] = &[
    ("slowlog|get", Bound::Broadcast { each: each_get, merge: merge_get }),
    ("slowlog|len", Bound::Broadcast { each: each_len, merge: merge_len }),
    ("slowlog|reset", Bound::Broadcast { each: each_reset, merge: merge_ok }),
    ("commandlog|get", Bound::Broadcast { each: each_get, merge: merge_get }),
    ("commandlog|len", Bound::Broadcast { each: each_len, merge: merge_len }),
    ("commandlog|reset", Bound::Broadcast { each: each_reset, merge: merge_ok }),
];

/// What a request asks: which log, and how many entries (`None`: all).
fn asked(argv: Argv<'_>) -> Result<(Which, Option<usize>), CommandError> {
    let is_commandlog = argv.get(0).eq_ignore_ascii_case(b"commandlog");
    let is_get = argv.get(1).eq_ignore_ascii_case(b"get");
    let most = if is_commandlog { 4 } else { 3 };
    if argv.len() > most {
        let word = String::from_utf8_lossy(&argv.get(1)[..argv.get(1).len().min(128)]).into_owned();
        return Err(CommandError::text(format!(
            "ERR unknown subcommand or wrong number of arguments for '{word}'. Try SLOWLOG HELP."
        )));
    }
    let mut count = Some(10);
    if is_get && let Some(text) = argv.try_get(2) {
        // Redis: anything that is not a count gets the same answer as a count out of range.
        count = match parse_i64(text) {
            Some(-1) => None,
            Some(number) if number >= 0 => Some(number as usize),
            _ => return Err(CommandError::Line("ERR count should be greater than or equal to -1")),
        };
    }
    if !is_commandlog {
        return Ok((Which::Slow, count));
    }
    let word = argv.get(argv.len() - 1);
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let which = match () {
        () if is("slow") => Which::Slow,
        () if is("large-request") => Which::LargeRequest,
        () if is("large-reply") => Which::LargeReply,
        () => {
            return Err(CommandError::Line(
                "ERR type should be one of the following: slow, large-request, large-reply",
            ));
        }
    };
    Ok((which, count))
}

fn log(core: &mut Core, which: Which) -> &mut Log {
    match which {
        Which::Slow => &mut core.observe.slow,
        Which::LargeRequest => &mut core.observe.large_requests,
        Which::LargeReply => &mut core.observe.large_replies,
    }
}

/// Entries that the log may have over all cores.
fn max_len(core: &Core, which: Which) -> usize {
    let setting = match which {
        Which::Slow => id::SLOWLOG_MAX_LEN,
        Which::LargeRequest => id::COMMANDLOG_LARGE_REQUEST_MAX_LEN,
        Which::LargeReply => id::COMMANDLOG_LARGE_REPLY_MAX_LEN,
    };
    usize::try_from(core.config.integer(setting)).unwrap_or(0)
}

fn each_get(core: &mut Core, _: &mut dyn NetIo, _: Asker, argv: Argv<'_>) -> Result<Part, CommandError> {
    let (which, count) = asked(argv)?;
    let entries = log(core, which).newest(count.unwrap_or(usize::MAX));
    Ok(Part::Gathered(Box::new(entries)))
}

fn merge_get(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    argv: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let (which, count) = asked(argv)?;
    let most = count.unwrap_or(usize::MAX).min(max_len(core, which));
    write(&merge(gathered::<Vec<Logged>>(parts).into_iter(), most), reply);
    Ok(After::Done)
}

fn each_len(core: &mut Core, _: &mut dyn NetIo, _: Asker, argv: Argv<'_>) -> Result<Part, CommandError> {
    let (which, _) = asked(argv)?;
    Ok(Part::Int(log(core, which).len() as i64))
}

fn merge_len(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    argv: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let (which, _) = asked(argv)?;
    let all: i64 = parts.iter().map(|part| if let Part::Int(len) = part { *len } else { 0 }).sum();
    reply.int(all.min(max_len(core, which) as i64));
    Ok(After::Done)
}

fn each_reset(core: &mut Core, _: &mut dyn NetIo, _: Asker, argv: Argv<'_>) -> Result<Part, CommandError> {
    let (which, _) = asked(argv)?;
    log(core, which).clear();
    Ok(Part::Nothing)
}

fn slowlog_help(_: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let lines = [
        "GET [<count>]",
        "    The newest entries, 10 unless a count is given; -1 shows all. An entry is",
        "    made of id, time, microseconds, arguments, client address, client name.",
        "LEN",
        "    How many entries there are.",
        "RESET",
        "    Empty the log.",
    ];
    super::help::write("SLOWLOG", &lines, reply);
    Ok(Outcome::Done)
}

fn commandlog_help(_: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let lines = [
        "GET <count> <type>",
        "    The newest entries of a log (slow, large-request or large-reply); -1 shows",
        "    all. An entry is made of id, time, microseconds or bytes, arguments, client",
        "    address, client name.",
        "LEN <type>",
        "    How many entries there are.",
        "RESET <type>",
        "    Empty the log.",
    ];
    super::help::write("COMMANDLOG", &lines, reply);
    Ok(Outcome::Done)
}
