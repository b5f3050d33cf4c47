//! The rows of scripts.

use crate::commands::spec::{Access, Arg, ArgKind, Begin, Find, Flags, Group, KeySpec, Row, Run, Shape};

const READS: Flags = Flags::NOSCRIPT.and(Flags::STALE).and(Flags::SKIP_MONITOR).and(Flags::NO_MANDATORY_KEYS);
const RUNS: Flags = READS.and(Flags::MOVABLEKEYS);
const READS_ONLY: Flags = RUNS.and(Flags::READONLY);

const fn keys(access: Access, notes: &'static str) -> KeySpec {
    KeySpec { begin: Begin::Index(2), find: Find::KeyNum { index: 0, first: 1, step: 1 }, access, notes }
}

const WORST: Access = Access::RW.and(Access::ACCESS).and(Access::UPDATE);
const ANY: Access = Access::RO.and(Access::ACCESS);

const fn arguments(name: &'static str) -> [Arg; 4] {
    [
        Arg::new(name, ArgKind::String),
        Arg::new("numkeys", ArgKind::Integer),
        Arg::key("key", 0).optional().multiple(),
        Arg::new("arg", ArgKind::String).optional().multiple(),
    ]
}

const WITH_SCRIPT: &[Arg] = &arguments("script");
const WITH_SHA: &[Arg] = &arguments("sha1");

const WITH_FUNCTION: &[Arg] = &arguments("function");

const SCRIPTING: Row = Row {
    arity: -3,
    group: Group::Scripting,
    since: "2.6.0",
    complexity: "Depends on the script",
    reply: Shape::Open,
    run: Run::Script,
    ..Row::BLANK
};

const RW_NOTES: &str = "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE";
const RO_NOTES: &str = "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS";

const SUB: Row =
    Row { group: Group::Scripting, since: "2.6.0", flags: Flags::NOSCRIPT, complexity: "O(1)", ..Row::BLANK };

/// The rows.
pub const ROWS: &[Row] = &[
    Row {
        name: "eval",
        flags: RUNS,
        keys: &[keys(WORST, RW_NOTES)],
        summary: "Runs a Lua script.",
        args: WITH_SCRIPT,
        ..SCRIPTING
    },
    Row {
        name: "evalsha",
        flags: RUNS,
        keys: &[keys(WORST, "")],
        summary: "Runs a Lua script that the server knows, named by its SHA1.",
        args: WITH_SHA,
        ..SCRIPTING
    },
    Row {
        name: "eval_ro",
        flags: READS_ONLY,
        keys: &[keys(ANY, RO_NOTES)],
        since: "7.0.0",
        summary: "Runs a Lua script that may not write.",
        args: WITH_SCRIPT,
        ..SCRIPTING
    },
    Row {
        name: "evalsha_ro",
        flags: READS_ONLY,
        keys: &[keys(ANY, "")],
        since: "7.0.0",
        summary: "Runs a Lua script that the server knows and that may not write, named by its SHA1.",
        args: WITH_SHA,
        ..SCRIPTING
    },
    Row {
        name: "fcall",
        flags: RUNS,
        keys: &[keys(WORST, RW_NOTES)],
        since: "7.0.0",
        summary: "Calls a function.",
        args: WITH_FUNCTION,
        ..SCRIPTING
    },
    Row {
        name: "fcall_ro",
        flags: READS_ONLY,
        keys: &[keys(ANY, RO_NOTES)],
        since: "7.0.0",
        summary: "Calls a function that may not write.",
        args: WITH_FUNCTION,
        ..SCRIPTING
    },
    FUNCTION,
    Row {
        name: "script",
        arity: -2,
        group: Group::Scripting,
        since: "2.6.0",
        summary: "Commands about known scripts.",
        complexity: "Depends on subcommand.",
        run: Run::Container,
        subcommands: &[
            Row {
                name: "load",
                arity: 3,
                flags: Flags::NOSCRIPT.and(Flags::STALE),
                summary: "Makes a script known without running it.",
                complexity: "O(N) with N bytes of source",
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                args: &[Arg::new("script", ArgKind::String)],
                reply: Shape::Bulk,
                ..SUB
            },
            Row {
                name: "exists",
                arity: -3,
                summary: "Tells which scripts are known.",
                complexity: "O(N) with N names",
                tips: &["request_policy:all_shards", "response_policy:agg_logical_and"],
                args: &[Arg::new("sha1", ArgKind::String).multiple()],
                reply: Shape::Array,
                ..SUB
            },
            Row {
                name: "flush",
                arity: -2,
                summary: "Forgets all scripts.",
                complexity: "O(N) with N scripts",
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                args: &[Arg::new(
                    "async",
                    ArgKind::OneOf(&[Arg::word("async", "ASYNC"), Arg::word("sync", "SYNC")]),
                )
                .optional()
                .since("6.2.0")],
                reply: Shape::Ok,
                ..SUB
            },
            Row {
                name: "kill",
                arity: 2,
                flags: Flags::NOSCRIPT.and(Flags::ALLOW_BUSY),
                summary: "Ends the script that runs, if it has not written.",
                tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
                reply: Shape::Ok,
                ..SUB
            },
            Row {
                name: "debug",
                arity: 3,
                since: "3.2.0",
                summary: "Sets the mode in which scripts are debugged.",
                args: &[Arg::new(
                    "mode",
                    ArgKind::OneOf(&[
                        Arg::word("yes", "YES"),
                        Arg::word("sync", "SYNC"),
                        Arg::word("no", "NO"),
                    ]),
                )],
                reply: Shape::Ok,
                ..SUB
            },
            Row {
                name: "show",
                arity: 3,
                since: "8.0.0",
                summary: "Shows the source of a script.",
                args: &[Arg::new("sha1", ArgKind::String)],
                reply: Shape::Bulk,
                ..SUB
            },
            Row {
                name: "help",
                arity: 2,
                flags: Flags::LOADING.and(Flags::STALE),
                since: "5.0.0",
                summary: "Explains the subcommands.",
                reply: Shape::Array,
                ..SUB
            },
        ],
        ..Row::BLANK
    },
];

const FUN: Row = Row { since: "7.0.0", ..SUB };
const CHANGES: Flags = Flags::NOSCRIPT.and(Flags::WRITE);
const ALL_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];
const ONE_SHARD: &[&str] = &["request_policy:all_shards", "response_policy:one_succeeded"];

const FUNCTION: Row = Row {
    name: "function",
    arity: -2,
    group: Group::Scripting,
    since: "7.0.0",
    summary: "Commands about libraries of functions.",
    complexity: "Depends on subcommand.",
    run: Run::Container,
    subcommands: &[
        Row {
            name: "load",
            arity: -3,
            flags: CHANGES.and(Flags::DENYOOM),
            summary: "Makes a library known.",
            tips: ALL_SHARDS,
            args: &[Arg::word("replace", "REPLACE").optional(), Arg::new("function-code", ArgKind::String)],
            reply: Shape::Bulk,
            run: Run::Broadcast,
            ..FUN
        },
        Row {
            name: "delete",
            arity: 3,
            flags: CHANGES,
            summary: "Forgets a library.",
            tips: ALL_SHARDS,
            args: &[Arg::new("library-name", ArgKind::String)],
            reply: Shape::Ok,
            run: Run::Broadcast,
            ..FUN
        },
        Row {
            name: "flush",
            arity: -2,
            flags: CHANGES,
            summary: "Forgets all libraries.",
            complexity: "O(N) with N functions",
            tips: ALL_SHARDS,
            args: &[Arg::new(
                "async",
                ArgKind::OneOf(&[Arg::word("async", "ASYNC"), Arg::word("sync", "SYNC")]),
            )
            .optional()],
            reply: Shape::Ok,
            run: Run::Broadcast,
            ..FUN
        },
        Row {
            name: "list",
            arity: -2,
            summary: "Shows libraries and their functions.",
            complexity: "O(N) with N functions",
            tips: &["nondeterministic_output_order"],
            args: &[
                Arg::new("library-name-pattern", ArgKind::String).token("LIBRARYNAME").optional(),
                Arg::word("withcode", "WITHCODE").optional(),
            ],
            reply: Shape::Array,
            ..FUN
        },
        Row {
            name: "dump",
            arity: 2,
            summary: "Shows all libraries in the form that RESTORE takes.",
            complexity: "O(N) with N functions",
            reply: Shape::Bulk,
            ..FUN
        },
        Row {
            name: "restore",
            arity: -3,
            flags: CHANGES.and(Flags::DENYOOM),
            summary: "Makes the libraries of a dump known.",
            complexity: "O(N) with N functions",
            tips: ALL_SHARDS,
            args: &[
                Arg::new("serialized-value", ArgKind::String),
                Arg::new(
                    "policy",
                    ArgKind::OneOf(&[
                        Arg::word("flush", "FLUSH"),
                        Arg::word("append", "APPEND"),
                        Arg::word("replace", "REPLACE"),
                    ]),
                )
                .optional(),
            ],
            reply: Shape::Ok,
            run: Run::Broadcast,
            ..FUN
        },
        Row {
            name: "stats",
            arity: 2,
            flags: Flags::NOSCRIPT.and(Flags::ALLOW_BUSY),
            summary: "Shows the function that runs.",
            tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
            reply: Shape::Map,
            ..FUN
        },
        Row {
            name: "kill",
            arity: 2,
            flags: Flags::NOSCRIPT.and(Flags::ALLOW_BUSY),
            summary: "Ends the function that runs, if it has not written.",
            tips: ONE_SHARD,
            reply: Shape::Ok,
            ..FUN
        },
        Row {
            name: "help",
            arity: 2,
            flags: Flags::LOADING.and(Flags::STALE),
            summary: "Explains the subcommands.",
            reply: Shape::Array,
            ..FUN
        },
    ],
    ..Row::BLANK
};
