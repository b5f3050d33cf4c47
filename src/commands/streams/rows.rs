//! The rows of the stream commands: what there is.

use super::ack::{xack, xackdel, xdelex, xnack};
use super::add::{xadd, xsetid};
use super::claim::{xautoclaim, xclaim};
use super::idmp::xcfgset;
use super::pending::xpending;
use super::range::{xdel, xlen, xrange, xrevrange};
use super::read::{XREAD, xread, xread_finish};
use super::read_group::{XREADGROUP, xreadgroup, xreadgroup_finish};
use super::trim::xtrim;
use super::{group, info};
use crate::commands::spec::{Access, Arg, ArgKind, Begin, Find, Flags, Group, KeySpec, Row, Run, Shape};

const READ: Access = Access::RO.and(Access::ACCESS);
const UPDATE: Access = Access::RW.and(Access::UPDATE);
const DELETE: Access = Access::RW.and(Access::DELETE);
const INSERT: Access = Access::RW.and(Access::INSERT);
const STREAM: &[&str] = &["stream"];
const NONDETERMINISTIC: &[&str] = &["nondeterministic_output"];

const KEY_ARG: Arg = Arg::key("key", 0);
const GROUP_ARG: Arg = Arg::new("group", ArgKind::String);
const GROUPNAME_ARG: Arg = Arg::new("groupname", ArgKind::String);
const CONSUMER_ARG: Arg = Arg::new("consumer", ArgKind::String);
const IDS_ARG: Arg = Arg::new("id", ArgKind::String).multiple();
const COUNT_ARG: Arg = Arg::new("count", ArgKind::Integer).token("COUNT").optional();
const JUSTID_ARG: Arg = Arg::word("justid", "JUSTID").optional();
const MAXCOUNT_ARG: Arg = Arg::new("maxcount", ArgKind::Integer).token("MAXCOUNT").optional().since("8.10.0");
const MAXSIZE_ARG: Arg = Arg::new("maxsize", ArgKind::Integer).token("MAXSIZE").optional().since("8.10.0");
const BLOCK_ARG: Arg = Arg::new("milliseconds", ArgKind::Integer).token("BLOCK").optional();
const STREAMS_ARG: Arg = Arg::new(
    "streams",
    ArgKind::Block(&[Arg::key("key", 0).multiple(), Arg::new("id", ArgKind::String).multiple()]),
)
.token("STREAMS");
const TRIM_ARG: Arg = Arg::new(
    "trim",
    ArgKind::Block(&[
        Arg::new(
            "strategy",
            ArgKind::OneOf(&[Arg::word("maxlen", "MAXLEN"), Arg::word("minid", "MINID").since("6.2.0")]),
        ),
        Arg::new("operator", ArgKind::OneOf(&[Arg::word("equal", "="), Arg::word("approximately", "~")]))
            .optional(),
        Arg::new("threshold", ArgKind::String),
        Arg::new("count", ArgKind::Integer).token("LIMIT").optional().since("6.2.0"),
    ]),
);
const REFS: ArgKind = ArgKind::OneOf(&[
    Arg::word("keepref", "KEEPREF"),
    Arg::word("delref", "DELREF"),
    Arg::word("acked", "ACKED"),
]);
const REFS_ARG: Arg = Arg::new("condition", REFS).optional();
const NUMBERED_IDS_ARG: Arg =
    Arg::new("ids", ArgKind::Block(&[Arg::new("numids", ArgKind::Integer), IDS_ARG])).token("IDS");
const NEW_ID_ARG: Arg =
    Arg::new("id", ArgKind::OneOf(&[Arg::new("id", ArgKind::String), Arg::word("new_id", "$")]));
const ENTRIES_READ_ARG: Arg = Arg::new("entries_read", ArgKind::Integer).token("ENTRIESREAD").optional();

/// What the rows of this family share.
const BASE: Row = Row { group: Group::Stream, acl: STREAM, since: "5.0.0", ..Row::BLANK };

const fn streams_from(from: isize) -> KeySpec {
    KeySpec {
        begin: Begin::Keyword { word: "STREAMS", from },
        find: Find::Range { last: -1, step: 1, limit: 2 },
        access: READ,
        notes: "",
    }
}

/// The rows of the stream family.
pub const ROWS: &[Row] = &[
    Row {
        name: "xack",
        arity: -4,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: &[KeySpec::one(1, UPDATE)],
        summary: "Marks pending entries of a group as processed and counts them.",
        complexity: "O(log N) per id, with N pending entries",
        args: &[KEY_ARG, GROUP_ARG, IDS_ARG],
        reply: Shape::Int,
        run: Run::OnShard(xack),
        ..BASE
    },
    Row {
        name: "xackdel",
        arity: -6,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: &[KeySpec::one(1, Access::RW.and(Access::UPDATE).and(Access::DELETE))],
        since: "8.2.0",
        summary: "Acknowledges entries of a group and deletes them from the stream.",
        complexity: "O(log N) per id, with N entries",
        args: &[KEY_ARG, GROUP_ARG, REFS_ARG, NUMBERED_IDS_ARG],
        reply: Shape::Array,
        run: Run::OnShard(xackdel),
        ..BASE
    },
    Row {
        name: "xadd",
        arity: -5,
        flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
        keys: &[KeySpec {
            notes: "UPDATE instead of INSERT because of the optional trimming feature",
            ..KeySpec::one(1, UPDATE)
        }],
        summary: "Appends an entry to a stream, and may shorten the stream.",
        complexity: "O(1), and O(N) with N entries trimmed",
        tips: NONDETERMINISTIC,
        args: &[
            KEY_ARG,
            Arg::word("nomkstream", "NOMKSTREAM").optional().since("6.2.0"),
            Arg::new("condition", REFS).optional().since("8.2.0"),
            Arg::new(
                "idmp",
                ArgKind::OneOf(&[
                    Arg::new("producer-id", ArgKind::String).token("IDMPAUTO"),
                    Arg::new(
                        "idmp-ids",
                        ArgKind::Block(&[
                            Arg::new("producer-id", ArgKind::String),
                            Arg::new("idempotent-id", ArgKind::String),
                        ]),
                    )
                    .token("IDMP"),
                ]),
            )
            .optional()
            .since("8.6.0"),
            TRIM_ARG.optional(),
            Arg::new(
                "id_or_auto",
                ArgKind::OneOf(&[Arg::word("auto_id", "*"), Arg::new("id", ArgKind::String)]),
            ),
            Arg::new(
                "field_value",
                ArgKind::Block(&[Arg::new("field", ArgKind::String), Arg::new("value", ArgKind::String)]),
            )
            .multiple(),
        ],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null]),
        run: Run::OnShard(xadd),
        ..BASE
    },
    Row {
        name: "xautoclaim",
        arity: -6,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: &[KeySpec::one(1, DELETE)],
        since: "6.2.0",
        summary: "Hands pending entries that have waited long enough to another consumer.",
        complexity: "O(1) with a small COUNT",
        tips: NONDETERMINISTIC,
        args: &[
            KEY_ARG,
            GROUP_ARG,
            CONSUMER_ARG,
            Arg::new("min-idle-time", ArgKind::String),
            Arg::new("start", ArgKind::String),
            COUNT_ARG,
            JUSTID_ARG,
        ],
        reply: Shape::Array,
        run: Run::OnShard(xautoclaim),
        ..BASE
    },
    Row {
        name: "xcfgset",
        arity: -2,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: &[KeySpec::one(1, UPDATE)],
        since: "8.6.0",
        summary: "Sets for how long, and how many, names of messages a stream remembers.",
        complexity: "O(N) with N names remembered",
        args: &[
            KEY_ARG,
            Arg::new("duration", ArgKind::Integer).token("IDMP-DURATION").optional(),
            Arg::new("maxsize", ArgKind::Integer).token("IDMP-MAXSIZE").optional(),
        ],
        reply: Shape::Ok,
        run: Run::OnShard(xcfgset),
        ..BASE
    },
    Row {
        name: "xclaim",
        arity: -6,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: &[KeySpec::one(1, UPDATE)],
        summary: "Hands pending entries to another consumer.",
        complexity: "O(log N) per id, with N pending entries",
        tips: NONDETERMINISTIC,
        args: &[
            KEY_ARG,
            GROUP_ARG,
            CONSUMER_ARG,
            Arg::new("min-idle-time", ArgKind::String),
            IDS_ARG,
            Arg::new("ms", ArgKind::Integer).token("IDLE").optional(),
            Arg::new("unix-time-milliseconds", ArgKind::UnixTime).token("TIME").optional(),
            Arg::new("count", ArgKind::Integer).token("RETRYCOUNT").optional(),
            Arg::word("force", "FORCE").optional(),
            JUSTID_ARG,
            Arg::new("id", ArgKind::String).token("LASTID").optional(),
        ],
        reply: Shape::Array,
        run: Run::OnShard(xclaim),
        ..BASE
    },
    Row {
        name: "xdel",
        arity: -3,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: &[KeySpec::one(1, DELETE)],
        summary: "Deletes entries by their ids and counts those that were there.",
        complexity: "O(log N) per id, with N entries",
        args: &[KEY_ARG, IDS_ARG],
        reply: Shape::Int,
        run: Run::OnShard(xdel),
        ..BASE
    },
    Row {
        name: "xdelex",
        arity: -5,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: &[KeySpec::one(1, DELETE)],
        since: "8.2.0",
        summary: "Deletes entries by their ids, minding what groups still refer to.",
        complexity: "O(log N) per id, with N entries",
        args: &[KEY_ARG, REFS_ARG, NUMBERED_IDS_ARG],
        reply: Shape::Array,
        run: Run::OnShard(xdelex),
        ..BASE
    },
    Row {
        name: "xgroup",
        arity: -2,
        acl: &[],
        summary: "Manages the groups of a stream and their consumers.",
        complexity: "Depends on the subcommand",
        run: Run::Container,
        subcommands: XGROUP,
        ..BASE
    },
    Row {
        name: "xinfo",
        arity: -2,
        acl: &[],
        summary: "Tells about a stream, its groups and their consumers.",
        complexity: "Depends on the subcommand",
        run: Run::Container,
        subcommands: XINFO,
        ..BASE
    },
    Row {
        name: "xlen",
        arity: 2,
        flags: Flags::READONLY.and(Flags::FAST),
        keys: &[KeySpec::one(1, Access::RO)],
        summary: "Counts the entries of a stream.",
        complexity: "O(1)",
        args: &[KEY_ARG],
        reply: Shape::Int,
        run: Run::OnShard(xlen),
        ..BASE
    },
    Row {
        name: "xnack",
        arity: -7,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: &[KeySpec::one(1, UPDATE)],
        since: "8.8.0",
        summary: "Gives pending entries back to their group, for any consumer to claim at once.",
        complexity: "O(log N) per id, with N pending entries",
        args: &[
            KEY_ARG,
            GROUP_ARG,
            Arg::new(
                "mode",
                ArgKind::OneOf(&[
                    Arg::word("silent", "SILENT"),
                    Arg::word("fail", "FAIL"),
                    Arg::word("fatal", "FATAL"),
                ]),
            ),
            NUMBERED_IDS_ARG,
            Arg::new("count", ArgKind::Integer).token("RETRYCOUNT").optional(),
            Arg::word("force", "FORCE").optional(),
        ],
        reply: Shape::Int,
        run: Run::OnShard(xnack),
        ..BASE
    },
    Row {
        name: "xpending",
        arity: -3,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        summary: "Tells what a group was given and has not acknowledged.",
        complexity: "O(N) with N entries looked at; the summary O(M) with M consumers",
        tips: NONDETERMINISTIC,
        args: &[
            KEY_ARG,
            GROUP_ARG,
            Arg::new(
                "filters",
                ArgKind::Block(&[
                    Arg::new("min-idle-time", ArgKind::Integer).token("IDLE").optional().since("6.2.0"),
                    Arg::new("start", ArgKind::String),
                    Arg::new("end", ArgKind::String),
                    Arg::new("count", ArgKind::Integer),
                    Arg::new("consumer", ArgKind::String).optional(),
                ]),
            )
            .optional(),
        ],
        reply: Shape::Array,
        run: Run::OnShard(xpending),
        ..BASE
    },
    Row {
        name: "xrange",
        arity: -4,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        summary: "Lists the entries between two ids.",
        complexity: "O(N) with N entries listed",
        args: &[KEY_ARG, Arg::new("start", ArgKind::String), Arg::new("end", ArgKind::String), COUNT_ARG],
        reply: Shape::Any(&[Shape::Array, Shape::Null]),
        run: Run::OnShard(xrange),
        ..BASE
    },
    Row {
        name: "xread",
        arity: -4,
        flags: Flags::READONLY.and(Flags::BLOCKING).and(Flags::MOVABLEKEYS),
        keys: &[streams_from(1)],
        summary: "Lists what is new in streams, and may wait for it.",
        complexity: "O(N) with N entries listed",
        args: &[COUNT_ARG, MAXCOUNT_ARG, MAXSIZE_ARG, BLOCK_ARG, STREAMS_ARG],
        reply: Shape::Any(&[Shape::Map, Shape::Array, Shape::Null]),
        run: Run::Hops { here: Some(xread), hops: XREAD, finish: xread_finish },
        ..BASE
    },
    Row {
        name: "xreadgroup",
        arity: -7,
        flags: Flags::WRITE.and(Flags::BLOCKING).and(Flags::MOVABLEKEYS),
        keys: &[streams_from(4)],
        summary: "Lists what is new for a group, or what is pending for its consumer, and may wait for it.",
        complexity: "O(N) with N entries listed",
        args: &[
            Arg::new("group_consumer", ArgKind::Block(&[GROUP_ARG, CONSUMER_ARG])).token("GROUP"),
            COUNT_ARG,
            MAXCOUNT_ARG,
            MAXSIZE_ARG,
            BLOCK_ARG,
            Arg::new("min-idle-time", ArgKind::Integer).token("CLAIM").optional().since("8.4.0"),
            Arg::word("noack", "NOACK").optional(),
            STREAMS_ARG,
        ],
        reply: Shape::Any(&[Shape::Map, Shape::Array, Shape::Null]),
        run: Run::Hops { here: Some(xreadgroup), hops: XREADGROUP, finish: xreadgroup_finish },
        ..BASE
    },
    Row {
        name: "xrevrange",
        arity: -4,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        summary: "Lists the entries between two ids, the last first.",
        complexity: "O(N) with N entries listed",
        args: &[KEY_ARG, Arg::new("end", ArgKind::String), Arg::new("start", ArgKind::String), COUNT_ARG],
        reply: Shape::Any(&[Shape::Array, Shape::Null]),
        run: Run::OnShard(xrevrange),
        ..BASE
    },
    Row {
        name: "xsetid",
        arity: -3,
        flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
        keys: &[KeySpec::one(1, UPDATE)],
        summary: "Sets the last id of a stream, and what it counts.",
        complexity: "O(1)",
        args: &[
            KEY_ARG,
            Arg::new("last-id", ArgKind::String),
            Arg::new("entries_added", ArgKind::Integer).token("ENTRIESADDED").optional().since("7.0.0"),
            Arg::new("max_deleted_entry_id", ArgKind::String).token("MAXDELETEDID").optional().since("7.0.0"),
        ],
        reply: Shape::Ok,
        run: Run::OnShard(xsetid),
        ..BASE
    },
    Row {
        name: "xtrim",
        arity: -4,
        flags: Flags::WRITE,
        keys: &[KeySpec::one(1, DELETE)],
        summary: "Removes the oldest entries of a stream.",
        complexity: "O(N) with N entries removed",
        tips: NONDETERMINISTIC,
        args: &[KEY_ARG, TRIM_ARG, Arg::new("condition", REFS).optional().since("8.2.0")],
        reply: Shape::Int,
        run: Run::OnShard(xtrim),
        ..BASE
    },
];

/// The subcommands of XGROUP.
const XGROUP: &[Row] = &[
    Row {
        name: "create",
        arity: -5,
        flags: Flags::WRITE.and(Flags::DENYOOM),
        keys: &[KeySpec::one(2, INSERT)],
        summary: "Adds a group to a stream.",
        complexity: "O(1)",
        args: &[
            KEY_ARG,
            GROUPNAME_ARG,
            NEW_ID_ARG,
            Arg::word("mkstream", "MKSTREAM").optional(),
            ENTRIES_READ_ARG,
        ],
        reply: Shape::Ok,
        run: Run::OnShard(group::create),
        ..BASE
    },
    Row {
        name: "createconsumer",
        arity: 5,
        flags: Flags::WRITE.and(Flags::DENYOOM),
        keys: &[KeySpec::one(2, INSERT)],
        since: "6.2.0",
        summary: "Adds a consumer to a group.",
        complexity: "O(1)",
        args: &[KEY_ARG, GROUPNAME_ARG, Arg::new("consumername", ArgKind::String)],
        reply: Shape::Int,
        run: Run::OnShard(group::createconsumer),
        ..BASE
    },
    Row {
        name: "delconsumer",
        arity: 5,
        flags: Flags::WRITE,
        keys: &[KeySpec::one(2, DELETE)],
        summary: "Removes a consumer of a group with all that is pending for it.",
        complexity: "O(N log M) with N pending entries of the consumer and M of the group",
        args: &[KEY_ARG, GROUPNAME_ARG, Arg::new("consumername", ArgKind::String)],
        reply: Shape::Int,
        run: Run::OnShard(group::delconsumer),
        ..BASE
    },
    Row {
        name: "destroy",
        arity: 4,
        flags: Flags::WRITE,
        keys: &[KeySpec::one(2, DELETE)],
        summary: "Removes a group.",
        complexity: "O(N) with N pending entries",
        args: &[KEY_ARG, GROUPNAME_ARG],
        reply: Shape::Int,
        run: Run::OnShard(group::destroy),
        ..BASE
    },
    Row {
        name: "help",
        arity: 2,
        flags: Flags::LOADING.and(Flags::STALE),
        summary: "Explains the subcommands.",
        complexity: "O(1)",
        reply: Shape::Array,
        run: Run::Local(group::help),
        ..BASE
    },
    Row {
        name: "setid",
        arity: -5,
        flags: Flags::WRITE,
        keys: &[KeySpec::one(2, UPDATE)],
        summary: "Sets what a group was given last.",
        complexity: "O(1)",
        args: &[KEY_ARG, GROUPNAME_ARG, NEW_ID_ARG, ENTRIES_READ_ARG],
        reply: Shape::Ok,
        run: Run::OnShard(group::setid),
        ..BASE
    },
];

/// The subcommands of XINFO.
const XINFO: &[Row] = &[
    Row {
        name: "consumers",
        arity: 4,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(2, READ)],
        summary: "Lists the consumers of a group.",
        complexity: "O(N) with N consumers",
        tips: NONDETERMINISTIC,
        args: &[KEY_ARG, GROUPNAME_ARG],
        reply: Shape::Array,
        run: Run::OnShard(info::consumers),
        ..BASE
    },
    Row {
        name: "groups",
        arity: 3,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(2, READ)],
        summary: "Lists the groups of a stream.",
        complexity: "O(N) with N groups",
        args: &[KEY_ARG],
        reply: Shape::Array,
        run: Run::OnShard(info::groups),
        ..BASE
    },
    Row {
        name: "help",
        arity: 2,
        flags: Flags::LOADING.and(Flags::STALE),
        summary: "Explains the subcommands.",
        complexity: "O(1)",
        reply: Shape::Array,
        run: Run::Local(info::help),
        ..BASE
    },
    Row {
        name: "stream",
        arity: -3,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(2, READ)],
        summary: "Tells about a stream; FULL tells all.",
        complexity: "O(1), and O(N) with N entries shown",
        args: &[KEY_ARG, Arg::new("full", ArgKind::Block(&[COUNT_ARG])).token("FULL").optional()],
        reply: Shape::Map,
        run: Run::OnShard(info::stream),
        ..BASE
    },
];
