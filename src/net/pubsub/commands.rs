//! SUBSCRIBE, PUBLISH and their kin, and PUBSUB.

use super::super::batch::Asker;
use super::super::core::Core;
use super::super::dispatch::{After, Bound};
use crate::commands::spec::{Access, Arg, ArgKind, Flags, Group, KeySpec, Outcome, Row, Run, Shape};
use crate::commands::{Args, CommandError, Part};
use crate::pubsub::Space;
use crate::resp::{Argv, Reply};
use crate::runtime::face::{ConnId, NetIo};
use crate::types::glob::glob_match;

const ANY_TIME: Flags = Flags::PUBSUB.and(Flags::LOADING).and(Flags::STALE);
const BLANK: Row = Row {
    arity: -2,
    flags: ANY_TIME.and(Flags::NOSCRIPT),
    group: Group::PubSub,
    since: "2.0.0",
    reply: Shape::Nothing,
    ..Row::BLANK
};
const SHARD_CHANNELS: &[KeySpec] = &[KeySpec::rest(1, 1, Access::NOT_KEY)];

const fn names(name: &'static str) -> Arg {
    Arg::new(name, ArgKind::String).multiple()
}

/// The rows of publish and subscribe.
pub const ROWS: &[Row] = &[
    Row {
        name: "subscribe",
        summary: "Messages to these channels come to the connection from now on.",
        complexity: "O(N) with N channels",
        args: &[names("channel")],
        ..BLANK
    },
    Row {
        name: "unsubscribe",
        arity: -1,
        summary: "No more messages to these channels, or to any.",
        complexity: "O(N) with N channels",
        args: &[names("channel").optional()],
        ..BLANK
    },
    Row {
        name: "psubscribe",
        summary: "Messages to all channels whose names match come to the connection from now on.",
        complexity: "O(N) with N patterns",
        args: &[Arg::new("pattern", ArgKind::Block(&[Arg::new("pattern", ArgKind::Pattern)])).multiple()],
        ..BLANK
    },
    Row {
        name: "punsubscribe",
        arity: -1,
        summary: "No more messages by these patterns, or by any.",
        complexity: "O(N) with N patterns",
        args: &[Arg::new("pattern", ArgKind::Pattern).multiple().optional()],
        ..BLANK
    },
    Row {
        name: "ssubscribe",
        keys: SHARD_CHANNELS,
        since: "7.0.0",
        summary: "Messages to these shard channels come to the connection from now on.",
        complexity: "O(N) with N channels",
        args: &[names("shardchannel")],
        ..BLANK
    },
    Row {
        name: "sunsubscribe",
        arity: -1,
        keys: SHARD_CHANNELS,
        since: "7.0.0",
        summary: "No more messages to these shard channels, or to any.",
        complexity: "O(N) with N channels",
        args: &[names("shardchannel").optional()],
        ..BLANK
    },
    Row {
        name: "publish",
        arity: 3,
        flags: ANY_TIME.and(Flags::FAST).and(Flags::MAY_REPLICATE),
        summary: "Sends a message to all who subscribed to a channel, or to a pattern that matches it.",
        complexity: "O(N+M) with N subscribers and M patterns of all clients",
        args: &[Arg::new("channel", ArgKind::String), Arg::new("message", ArgKind::String)],
        reply: Shape::Int,
        ..BLANK
    },
    Row {
        name: "spublish",
        arity: 3,
        flags: ANY_TIME.and(Flags::FAST).and(Flags::MAY_REPLICATE),
        keys: &[KeySpec::one(1, Access::NOT_KEY)],
        since: "7.0.0",
        summary: "Sends a message to all who subscribed to a shard channel.",
        complexity: "O(N) with N subscribers",
        args: &[Arg::new("shardchannel", ArgKind::String), Arg::new("message", ArgKind::String)],
        reply: Shape::Int,
        ..BLANK
    },
    Row {
        name: "pubsub",
        flags: Flags::NONE,
        since: "2.8.0",
        summary: "Commands about channels and patterns.",
        complexity: "Depends on the subcommand.",
        reply: Shape::Open,
        run: Run::Container,
        subcommands: &[
            Row {
                name: "channels",
                summary: "The channels that have subscribers.",
                complexity: "O(N) with N channels",
                args: &[Arg::new("pattern", ArgKind::Pattern).optional()],
                ..ABOUT
            },
            Row {
                name: "help",
                arity: 2,
                flags: Flags::LOADING.and(Flags::STALE),
                since: "6.2.0",
                summary: "What PUBSUB can do.",
                run: Run::Local(help),
                ..ABOUT
            },
            Row {
                name: "numpat",
                arity: 2,
                summary: "How many patterns have subscribers.",
                complexity: "O(N) with N patterns",
                reply: Shape::Int,
                ..ABOUT
            },
            Row {
                name: "numsub",
                summary: "How many subscribers channels have, those by patterns not counted.",
                complexity: "O(N) with N channels",
                args: &[names("channel").optional()],
                ..ABOUT
            },
            Row {
                name: "shardchannels",
                since: "7.0.0",
                summary: "The shard channels that have subscribers.",
                complexity: "O(N) with N channels",
                args: &[Arg::new("pattern", ArgKind::Pattern).optional()],
                ..ABOUT
            },
            Row {
                name: "shardnumsub",
                since: "7.0.0",
                summary: "How many subscribers shard channels have.",
                complexity: "O(N) with N channels",
                args: &[names("shardchannel").optional()],
                ..ABOUT
            },
        ],
        ..BLANK
    },
];

const ABOUT: Row = Row {
    arity: -2,
    flags: ANY_TIME,
    group: Group::PubSub,
    since: "2.8.0",
    complexity: "O(1)",
    reply: Shape::Array,
    run: Run::Broadcast,
    ..Row::BLANK
};

/// What the registry binds.
pub const BINDINGS: &[(&str, Bound)] = &[
    ("subscribe", Bound::Here(subscribe)),
    ("unsubscribe", Bound::Here(unsubscribe)),
    ("psubscribe", Bound::Here(psubscribe)),
    ("punsubscribe", Bound::Here(punsubscribe)),
    ("ssubscribe", Bound::Here(ssubscribe)),
    ("sunsubscribe", Bound::Here(sunsubscribe)),
    ("publish", Bound::Publish(Space::Channel)),
    ("spublish", Bound::Publish(Space::Shard)),
    ("pubsub|channels", Bound::Broadcast { each: channels_each, merge: names_merge }),
    ("pubsub|shardchannels", Bound::Broadcast { each: shard_channels_each, merge: names_merge }),
    ("pubsub|numsub", Bound::Broadcast { each: numsub_each, merge: numsub_merge }),
    ("pubsub|shardnumsub", Bound::Broadcast { each: shard_numsub_each, merge: numsub_merge }),
    ("pubsub|numpat", Bound::Broadcast { each: numpat_each, merge: numpat_merge }),
];

// --- subscribing ------------------------------------------------------------------------------------------------

macro_rules! bound {
    ($($name:ident = $run:ident($space:ident, $word:literal);)*) => {
        $(fn $name(
            core: &mut Core,
            _: &mut dyn NetIo,
            conn: ConnId,
            args: &mut Args<'_>,
            reply: &mut Reply<'_>,
        ) -> Result<After, CommandError> {
            $run(core, conn, Space::$space, $word, args, reply);
            Ok(After::Pushed)
        })*
    };
}

bound! {
    subscribe = begin(Channel, b"subscribe");
    psubscribe = begin(Pattern, b"psubscribe");
    ssubscribe = begin(Shard, b"ssubscribe");
    unsubscribe = end(Channel, b"unsubscribe");
    punsubscribe = end(Pattern, b"punsubscribe");
    sunsubscribe = end(Shard, b"sunsubscribe");
}

/// Writes the confirmation of one name.
fn confirm(
    core: &mut Core,
    conn: ConnId,
    space: Space,
    word: &[u8],
    name: Option<&[u8]>,
    reply: &mut Reply<'_>,
) {
    reply.push(3);
    reply.bulk(word);
    match name {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    reply.int(core.clients.at(conn.index).subscriptions.told(space));
}

fn begin(
    core: &mut Core,
    conn: ConnId,
    space: Space,
    word: &[u8],
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) {
    for name in args.rest() {
        core.subscribe(conn, space, name);
        confirm(core, conn, space, word, Some(name), reply);
    }
}

fn end(core: &mut Core, conn: ConnId, space: Space, word: &[u8], args: &mut Args<'_>, reply: &mut Reply<'_>) {
    if !args.is_done() {
        for name in args.rest() {
            core.unsubscribe(conn, space, name);
            confirm(core, conn, space, word, Some(name), reply);
        }
        return;
    }
    let names = core.subscriptions.names_of(conn, space);
    for name in &names {
        core.unsubscribe(conn, space, name);
        confirm(core, conn, space, word, Some(name), reply);
    }
    if names.is_empty() {
        confirm(core, conn, space, word, None, reply);
    }
}

// --- PUBSUB -----------------------------------------------------------------------------------------------------

fn names_here(core: &Core, space: Space, pattern: Option<&[u8]>) -> Part {
    let fits = |name: &&[u8]| pattern.is_none_or(|pattern| glob_match(pattern, name, false));
    Part::Strings(core.subscriptions.names(space).filter(fits).map(|name| Some(name.to_vec())).collect())
}

fn at_most_a_pattern(argv: Argv<'_>) -> Result<Option<&[u8]>, CommandError> {
    if argv.len() > 3 {
        let before = "ERR unknown subcommand or wrong number of arguments for '";
        return Err(CommandError::quoting(before, argv.get(1), "'. Try PUBSUB HELP."));
    }
    Ok(argv.try_get(2))
}

fn channels_each(core: &mut Core, _: &mut dyn NetIo, _: Asker, argv: Argv<'_>) -> Result<Part, CommandError> {
    Ok(names_here(core, Space::Channel, at_most_a_pattern(argv)?))
}

fn shard_channels_each(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: Asker,
    argv: Argv<'_>,
) -> Result<Part, CommandError> {
    Ok(names_here(core, Space::Shard, at_most_a_pattern(argv)?))
}

fn numpat_each(core: &mut Core, _: &mut dyn NetIo, _: Asker, _: Argv<'_>) -> Result<Part, CommandError> {
    Ok(names_here(core, Space::Pattern, None))
}

/// The names of all cores, each once.
fn union(parts: Vec<Part>) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for part in parts {
        if let Part::Strings(names) = part {
            all.extend(names.into_iter().flatten());
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn names_merge(
    _: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let names = union(parts);
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name));
    Ok(After::Done)
}

fn numpat_merge(
    _: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    reply.int(union(parts).len() as i64);
    Ok(After::Done)
}

fn counts_here(core: &Core, space: Space, argv: Argv<'_>) -> Part {
    let count = |name| core.subscriptions.subscribers(space, name).map_or(0, |all| all.len() as u64);
    Part::Versions(argv.iter().enumerate().skip(2).map(|(index, name)| (index, count(name))).collect())
}

fn numsub_each(core: &mut Core, _: &mut dyn NetIo, _: Asker, argv: Argv<'_>) -> Result<Part, CommandError> {
    Ok(counts_here(core, Space::Channel, argv))
}

fn shard_numsub_each(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: Asker,
    argv: Argv<'_>,
) -> Result<Part, CommandError> {
    Ok(counts_here(core, Space::Shard, argv))
}

fn numsub_merge(
    _: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    argv: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let mut sums = vec![0; argv.len()];
    for part in parts {
        let Part::Versions(counts) = part else { continue };
        counts.into_iter().for_each(|(index, count)| sums[index] += count as i64);
    }
    reply.array((argv.len() - 2) * 2);
    for (index, name) in argv.iter().enumerate().skip(2) {
        reply.bulk(name);
        reply.int(sums[index]);
    }
    Ok(After::Done)
}

const HELP: &[&str] = &[
    "PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CHANNELS [<pattern>]",
    "    The channels that have subscribers and match the pattern; all without one.",
    "NUMPAT",
    "    How many different patterns have subscribers.",
    "NUMSUB [<channel> ...]",
    "    How many subscribers each of these channels has, those by patterns not counted.",
    "SHARDCHANNELS [<pattern>]",
    "    The shard channels that have subscribers and match the pattern; all without one.",
    "SHARDNUMSUB [<shardchannel> ...]",
    "    How many subscribers each of these shard channels has.",
    "HELP",
    "    Prints this help.",
];

fn help(args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    args.finish()?;
    reply.array(HELP.len());
    HELP.iter().for_each(|line| reply.simple(line));
    Ok(Outcome::Done)
}
