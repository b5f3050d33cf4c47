//! The rows of CLIENT.

use super::{attributes, others, pause, tracking};
use crate::commands::Row;
use crate::commands::spec::{Arg, ArgKind, Flags, Group, Run, Shape};
use crate::net::dispatch::Bound;

const SUB: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);
const ADMIN: Flags = SUB.and(Flags::ADMIN);

const BLANK: Row = Row { arity: 2, flags: SUB, group: Group::Connection, complexity: "O(1)", ..Row::BLANK };
const EVERY_CLIENT: &str = "O(N) with N clients";
const ON_OFF: &[Arg] =
    &[Arg::new("enabled", ArgKind::OneOf(&[Arg::word("on", "ON"), Arg::word("off", "OFF")]))];
const EVERY_NODE: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];
const KINDS: ArgKind = ArgKind::OneOf(&[
    Arg::word("normal", "normal"),
    Arg::word("master", "master").since("3.2.0"),
    Arg::word("slave", "slave"),
    Arg::word("replica", "replica").since("5.0.0"),
    Arg::word("pubsub", "pubsub"),
]);
const YES_NO: ArgKind = ArgKind::OneOf(&[Arg::word("yes", "YES"), Arg::word("no", "NO")]);
const FILTERS: &[Arg] = &[
    Arg::new("client-id", ArgKind::Integer).token("ID").optional().multiple().since("2.8.12"),
    Arg::new("client-type", KINDS).token("TYPE").optional().since("2.8.12"),
    Arg::new("username", ArgKind::String).token("USER").optional(),
    Arg::new("addr", ArgKind::String).token("ADDR").optional(),
    Arg::new("laddr", ArgKind::String).token("LADDR").optional().since("6.2.0"),
    Arg::new("skipme", YES_NO).token("SKIPME").optional(),
    Arg::new("maxage", ArgKind::Integer).token("MAXAGE").optional().since("7.4.0"),
    Arg::new("name", ArgKind::String).token("NAME").optional(),
    Arg::new("idle", ArgKind::Integer).token("IDLE").optional(),
    Arg::new("flags", ArgKind::String).token("FLAGS").optional(),
    Arg::new("lib-name", ArgKind::String).token("LIB-NAME").optional(),
    Arg::new("lib-ver", ArgKind::String).token("LIB-VER").optional(),
    Arg::new("db", ArgKind::Integer).token("DB").optional(),
    Arg::new("capa", ArgKind::String).token("CAPA").optional(),
    Arg::new("ip", ArgKind::String).token("IP").optional(),
];

/// CLIENT and its subcommands.
pub const ROWS: &[Row] = &[Row {
    name: "client",
    arity: -2,
    group: Group::Connection,
    since: "2.4.0",
    summary: "Commands about connections.",
    complexity: "Depends on the subcommand.",
    run: Run::Container,
    subcommands: &[
        Row {
            name: "caching",
            arity: 3,
            since: "6.0.0",
            summary: "Says whether the keys of the next command are tracked.",
            args: &[Arg::new("mode", YES_NO)],
            reply: Shape::Ok,
            ..BLANK
        },
        Row {
            name: "getname",
            since: "2.6.9",
            summary: "The connection's name.",
            reply: Shape::Any(&[Shape::Bulk, Shape::Null]),
            ..BLANK
        },
        Row {
            name: "getredir",
            since: "6.0.0",
            summary: "The client that tracking notices of this connection go to.",
            reply: Shape::Int,
            ..BLANK
        },
        Row {
            name: "help",
            flags: Flags::LOADING.and(Flags::STALE),
            since: "5.0.0",
            summary: "What CLIENT can do.",
            reply: Shape::Array,
            run: Run::Local(attributes::help),
            ..BLANK
        },
        Row { name: "id", since: "5.0.0", summary: "The connection's number.", reply: Shape::Int, ..BLANK },
        Row {
            name: "info",
            since: "6.2.0",
            summary: "The line of CLIENT LIST about the connection.",
            tips: &["nondeterministic_output"],
            reply: Shape::Bulk,
            ..BLANK
        },
        Row {
            name: "kill",
            arity: -3,
            flags: ADMIN,
            since: "2.4.0",
            summary: "Closes connections.",
            complexity: EVERY_CLIENT,
            args: &[Arg::new(
                "filter",
                ArgKind::OneOf(&[
                    Arg::new("old-format", ArgKind::String),
                    Arg::new("new-format", ArgKind::OneOf(FILTERS)).multiple(),
                ]),
            )],
            reply: Shape::Any(&[Shape::Ok, Shape::Int]),
            run: Run::Broadcast,
            ..BLANK
        },
        Row {
            name: "list",
            arity: -2,
            flags: ADMIN,
            since: "2.4.0",
            summary: "One line for each connection.",
            complexity: EVERY_CLIENT,
            tips: &["nondeterministic_output"],
            args: FILTERS,
            reply: Shape::Bulk,
            run: Run::Broadcast,
            ..BLANK
        },
        Row {
            name: "no-evict",
            arity: 3,
            flags: ADMIN,
            since: "7.0.0",
            summary: "Whether the connection stays when clients use too much memory.",
            args: ON_OFF,
            reply: Shape::Ok,
            ..BLANK
        },
        Row {
            name: "no-touch",
            arity: 3,
            since: "7.2.0",
            summary: "Whether reads of the connection leave the age of keys alone.",
            args: ON_OFF,
            reply: Shape::Ok,
            ..BLANK
        },
        Row {
            name: "pause",
            arity: -3,
            flags: ADMIN,
            since: "3.0.0",
            summary: "Lets commands wait for some time.",
            args: &[
                Arg::new("timeout", ArgKind::Integer),
                Arg::new("mode", ArgKind::OneOf(&[Arg::word("write", "WRITE"), Arg::word("all", "ALL")]))
                    .optional()
                    .since("6.2.0"),
            ],
            reply: Shape::Ok,
            run: Run::Broadcast,
            ..BLANK
        },
        Row {
            name: "reply",
            arity: 3,
            since: "3.2.0",
            summary: "Whether the connection gets replies.",
            args: &[Arg::new(
                "action",
                ArgKind::OneOf(&[Arg::word("on", "ON"), Arg::word("off", "OFF"), Arg::word("skip", "SKIP")]),
            )],
            reply: Shape::Any(&[Shape::Ok, Shape::Nothing]),
            ..BLANK
        },
        Row {
            name: "setinfo",
            arity: 4,
            since: "7.2.0",
            summary: "Says which library the connection uses.",
            tips: EVERY_NODE,
            args: &[Arg::new(
                "attr",
                ArgKind::OneOf(&[
                    Arg::new("libname", ArgKind::String).token("LIB-NAME"),
                    Arg::new("libver", ArgKind::String).token("LIB-VER"),
                ]),
            )],
            reply: Shape::Ok,
            ..BLANK
        },
        Row {
            name: "setname",
            arity: 3,
            since: "2.6.9",
            summary: "Names the connection.",
            tips: EVERY_NODE,
            args: &[Arg::new("connection-name", ArgKind::String)],
            reply: Shape::Ok,
            ..BLANK
        },
        Row {
            name: "tracking",
            arity: -3,
            since: "6.0.0",
            summary: "Whether the server tells which keys the connection should read anew.",
            args: &[
                Arg::new("status", ArgKind::OneOf(&[Arg::word("on", "ON"), Arg::word("off", "OFF")])),
                Arg::new("client-id", ArgKind::Integer).token("REDIRECT").optional(),
                Arg::new("prefix", ArgKind::String).token("PREFIX").optional().multiple_token(),
                Arg::word("BCAST", "BCAST").optional(),
                Arg::word("OPTIN", "OPTIN").optional(),
                Arg::word("OPTOUT", "OPTOUT").optional(),
                Arg::word("NOLOOP", "NOLOOP").optional(),
            ],
            reply: Shape::Ok,
            run: Run::Broadcast,
            ..BLANK
        },
        Row {
            name: "trackinginfo",
            since: "6.2.0",
            summary: "How keys are tracked for the connection.",
            reply: Shape::Map,
            ..BLANK
        },
        Row {
            name: "unblock",
            arity: -3,
            flags: ADMIN,
            since: "5.0.0",
            summary: "Ends the waiting of a blocked client.",
            complexity: "O(log N) with N clients",
            args: &[
                Arg::new("client-id", ArgKind::Integer),
                Arg::new(
                    "unblock-type",
                    ArgKind::OneOf(&[Arg::word("timeout", "TIMEOUT"), Arg::word("error", "ERROR")]),
                )
                .optional(),
            ],
            reply: Shape::Int,
            run: Run::Broadcast,
            ..BLANK
        },
        Row {
            name: "unpause",
            flags: ADMIN,
            since: "6.2.0",
            summary: "Lets the commands go on that CLIENT PAUSE holds.",
            complexity: "O(N) with N paused clients",
            reply: Shape::Ok,
            run: Run::Broadcast,
            ..BLANK
        },
    ],
    ..Row::BLANK
}];

/// What the registry binds.
pub const BINDINGS: &[(&str, Bound)] = &[
    ("client|caching", Bound::Here(tracking::caching)),
    ("client|getname", Bound::Here(attributes::getname)),
    ("client|getredir", Bound::Here(tracking::getredir)),
    ("client|id", Bound::Here(attributes::id)),
    ("client|info", Bound::Here(attributes::info)),
    ("client|kill", Bound::Broadcast { each: others::kill_each, merge: others::kill_merge }),
    ("client|list", Bound::Broadcast { each: others::list_each, merge: others::list_merge }),
    ("client|no-evict", Bound::Here(attributes::no_evict)),
    ("client|no-touch", Bound::Here(attributes::no_touch)),
    ("client|pause", Bound::Broadcast { each: pause::pause_each, merge: pause::merge_ok }),
    ("client|reply", Bound::Here(attributes::reply_mode)),
    ("client|setinfo", Bound::Here(attributes::setinfo)),
    ("client|setname", Bound::Here(attributes::setname)),
    ("client|tracking", Bound::Broadcast { each: tracking::tracking_each, merge: tracking::tracking_merge }),
    ("client|trackinginfo", Bound::Here(tracking::trackinginfo)),
    ("client|unblock", Bound::Broadcast { each: others::unblock_each, merge: others::unblock_merge }),
    ("client|unpause", Bound::Broadcast { each: pause::unpause_each, merge: pause::merge_ok }),
];
