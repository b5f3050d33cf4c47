//! The rows of the hash family: its table of contents.

use super::{get, getset, incr, random, scan, set, ttl};
use crate::commands::spec::{Access, Arg, ArgKind, Flags, Group, KeySpec, Row, Run, Shape};

const READ: Access = Access::RO.and(Access::ACCESS);
const UPDATE: Access = Access::RW.and(Access::UPDATE);
const INSERT: Access = Access::RW.and(Access::INSERT);
const DELETE: Access = Access::RW.and(Access::DELETE);
const COUNT: Access = Access::RW.and(Access::ACCESS).and(Access::UPDATE);
const TAKE: Access = Access::RW.and(Access::ACCESS).and(Access::DELETE);
const READ_FAST: Flags = Flags::READONLY.and(Flags::FAST);
const WRITE_FAST: Flags = Flags::WRITE.and(Flags::FAST);
const GROW_FAST: Flags = WRITE_FAST.and(Flags::DENYOOM);

const KEY: Arg = Arg::key("key", 0);
const FIELD: Arg = Arg::new("field", ArgKind::String);
const FIELDS: Arg = FIELD.multiple();
const VALUE: Arg = Arg::new("value", ArgKind::String);
const PAIRS: Arg = Arg::new("data", ArgKind::Block(&[FIELD, VALUE])).multiple();
const COUNT_OF_FIELDS: Arg = Arg::new("numfields", ArgKind::Integer);
const FIELDS_BLOCK: Arg = Arg::new("fields", ArgKind::Block(&[COUNT_OF_FIELDS, FIELDS])).token("FIELDS");
const PAIRS_BLOCK: Arg = Arg::new("fields", ArgKind::Block(&[COUNT_OF_FIELDS, PAIRS])).token("FIELDS");
const RANDOM: Arg = Arg::new(
    "options",
    ArgKind::Block(&[Arg::new("count", ArgKind::Integer), Arg::word("withvalues", "WITHVALUES").optional()]),
)
.optional();

const CONDITION: Arg = Arg::new(
    "condition",
    ArgKind::OneOf(&[
        Arg::word("nx", "NX"),
        Arg::word("xx", "XX"),
        Arg::word("gt", "GT"),
        Arg::word("lt", "LT"),
    ]),
)
.optional();
const EXISTENCE: Arg =
    Arg::new("condition", ArgKind::OneOf(&[Arg::word("fnx", "FNX"), Arg::word("fxx", "FXX")])).optional();
const EX: Arg = Arg::new("seconds", ArgKind::Integer).token("EX");
const PX: Arg = Arg::new("milliseconds", ArgKind::Integer).token("PX");
const EXAT: Arg = Arg::new("unix-time-seconds", ArgKind::UnixTime).token("EXAT");
const PXAT: Arg = Arg::new("unix-time-milliseconds", ArgKind::UnixTime).token("PXAT");
const GETEX_EXPIRY: Arg =
    Arg::new("expiration", ArgKind::OneOf(&[EX, PX, EXAT, PXAT, Arg::word("persist", "PERSIST")])).optional();
const SETEX_EXPIRY: Arg =
    Arg::new("expiration", ArgKind::OneOf(&[EX, PX, EXAT, PXAT, Arg::word("keepttl", "KEEPTTL")])).optional();

/// The rows of the hash family.
pub const ROWS: &[Row] = &[
    Row {
        name: "hset",
        arity: -4,
        flags: GROW_FAST,
        keys: &[KeySpec::one(1, UPDATE)],
        group: Group::Hash,
        since: "2.0.0",
        summary: "Sets fields of a hash to values.",
        complexity: "O(N) with N fields set",
        args: &[KEY, PAIRS],
        reply: Shape::Int,
        run: Run::OnShard(set::hset),
        ..Row::BLANK
    },
    Row {
        name: "hsetnx",
        arity: 4,
        flags: GROW_FAST,
        keys: &[KeySpec::one(1, INSERT)],
        group: Group::Hash,
        since: "2.0.0",
        summary: "Sets a field of a hash, unless it is there.",
        complexity: "O(1)",
        args: &[KEY, FIELD, VALUE],
        reply: Shape::Int,
        run: Run::OnShard(set::hsetnx),
        ..Row::BLANK
    },
    Row {
        name: "hmset",
        arity: -4,
        flags: GROW_FAST,
        keys: &[KeySpec::one(1, UPDATE)],
        group: Group::Hash,
        since: "2.0.0",
        deprecated: Some(("4.0.0", "`HSET` with multiple field-value pairs")),
        summary: "Sets fields of a hash to values.",
        complexity: "O(N) with N fields set",
        args: &[KEY, PAIRS],
        reply: Shape::Ok,
        run: Run::OnShard(set::hmset),
        ..Row::BLANK
    },
    Row {
        name: "hget",
        arity: 3,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Hash,
        since: "2.0.0",
        summary: "Reads a field of a hash.",
        complexity: "O(1)",
        args: &[KEY, FIELD],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null]),
        run: Run::OnShard(get::hget),
        ..Row::BLANK
    },
    Row {
        name: "hmget",
        arity: -3,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Hash,
        since: "2.0.0",
        summary: "Reads several fields of a hash.",
        complexity: "O(N) with N fields named",
        args: &[KEY, FIELDS],
        reply: Shape::Array,
        run: Run::OnShard(get::hmget),
        ..Row::BLANK
    },
    Row {
        name: "hgetall",
        arity: 2,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Hash,
        since: "2.0.0",
        summary: "Reads all fields of a hash with their values.",
        complexity: "O(N) with N fields in the hash",
        tips: &["nondeterministic_output_order"],
        args: &[KEY],
        reply: Shape::Map,
        run: Run::OnShard(get::hgetall),
        ..Row::BLANK
    },
    Row {
        name: "hkeys",
        arity: 2,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Hash,
        since: "2.0.0",
        summary: "Reads all fields of a hash.",
        complexity: "O(N) with N fields in the hash",
        tips: &["nondeterministic_output_order"],
        args: &[KEY],
        reply: Shape::Array,
        run: Run::OnShard(get::hkeys),
        ..Row::BLANK
    },
    Row {
        name: "hvals",
        arity: 2,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Hash,
        since: "2.0.0",
        summary: "Reads all values of a hash.",
        complexity: "O(N) with N fields in the hash",
        tips: &["nondeterministic_output_order"],
        args: &[KEY],
        reply: Shape::Array,
        run: Run::OnShard(get::hvals),
        ..Row::BLANK
    },
    Row {
        name: "hlen",
        arity: 2,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, Access::RO)],
        group: Group::Hash,
        since: "2.0.0",
        summary: "Counts the fields of a hash.",
        complexity: "O(1); O(N) with N fields of a small hash",
        args: &[KEY],
        reply: Shape::Int,
        run: Run::OnShard(get::hlen),
        ..Row::BLANK
    },
    Row {
        name: "hexists",
        arity: 3,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, Access::RO)],
        group: Group::Hash,
        since: "2.0.0",
        summary: "Tells whether a hash has a field.",
        complexity: "O(1)",
        args: &[KEY, FIELD],
        reply: Shape::Int,
        run: Run::OnShard(get::hexists),
        ..Row::BLANK
    },
    Row {
        name: "hstrlen",
        arity: 3,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, Access::RO)],
        group: Group::Hash,
        since: "3.2.0",
        summary: "Tells the length of the value of a field.",
        complexity: "O(1)",
        args: &[KEY, FIELD],
        reply: Shape::Int,
        run: Run::OnShard(get::hstrlen),
        ..Row::BLANK
    },
    Row {
        name: "hdel",
        arity: -3,
        flags: WRITE_FAST,
        keys: &[KeySpec::one(1, DELETE)],
        group: Group::Hash,
        since: "2.0.0",
        summary: "Removes fields of a hash; with the last of them, the key.",
        complexity: "O(N) with N fields named",
        args: &[KEY, FIELDS],
        reply: Shape::Int,
        run: Run::OnShard(set::hdel),
        ..Row::BLANK
    },
    Row {
        name: "hincrby",
        arity: 4,
        flags: GROW_FAST,
        keys: &[KeySpec::one(1, COUNT)],
        group: Group::Hash,
        since: "2.0.0",
        summary: "Adds an integer to the one in a field.",
        complexity: "O(1)",
        args: &[KEY, FIELD, Arg::new("increment", ArgKind::Integer)],
        reply: Shape::Int,
        run: Run::OnShard(incr::hincrby),
        ..Row::BLANK
    },
    Row {
        name: "hincrbyfloat",
        arity: 4,
        flags: GROW_FAST,
        keys: &[KeySpec::one(1, COUNT)],
        group: Group::Hash,
        since: "2.6.0",
        summary: "Adds a float to the number in a field.",
        complexity: "O(1)",
        args: &[KEY, FIELD, Arg::new("increment", ArgKind::Double)],
        reply: Shape::Bulk,
        run: Run::OnShard(incr::hincrbyfloat),
        ..Row::BLANK
    },
    Row {
        name: "hrandfield",
        arity: -2,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Hash,
        since: "6.2.0",
        summary: "Draws fields of a hash at random.",
        complexity: "O(N) with N fields drawn",
        tips: &["nondeterministic_output"],
        args: &[KEY, RANDOM],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null, Shape::Array]),
        run: Run::OnShard(random::hrandfield),
        ..Row::BLANK
    },
    Row {
        name: "hscan",
        arity: -3,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Hash,
        since: "2.8.0",
        summary: "Walks over the fields of a hash, a few per call.",
        complexity: "O(1) per call, O(N) for a whole walk over N fields",
        tips: &["nondeterministic_output"],
        args: &[
            KEY,
            Arg::new("cursor", ArgKind::Integer),
            Arg::new("pattern", ArgKind::Pattern).token("MATCH").optional(),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
            Arg::word("novalues", "NOVALUES").optional().since("7.4.0"),
        ],
        reply: Shape::Array,
        run: Run::OnShard(scan::hscan),
        ..Row::BLANK
    },
    Row {
        name: "hexpire",
        arity: -6,
        flags: GROW_FAST,
        keys: &[KeySpec::one(1, UPDATE)],
        group: Group::Hash,
        since: "7.4.0",
        summary: "Gives fields of a hash a deadline, in seconds from now.",
        complexity: "O(N) with N fields named",
        args: &[KEY, Arg::new("seconds", ArgKind::Integer), CONDITION, FIELDS_BLOCK],
        reply: Shape::Array,
        run: Run::OnShard(ttl::hexpire),
        ..Row::BLANK
    },
    Row {
        name: "hpexpire",
        arity: -6,
        flags: GROW_FAST,
        keys: &[KeySpec::one(1, UPDATE)],
        group: Group::Hash,
        since: "7.4.0",
        summary: "Gives fields of a hash a deadline, in milliseconds from now.",
        complexity: "O(N) with N fields named",
        args: &[KEY, Arg::new("milliseconds", ArgKind::Integer), CONDITION, FIELDS_BLOCK],
        reply: Shape::Array,
        run: Run::OnShard(ttl::hpexpire),
        ..Row::BLANK
    },
    Row {
        name: "hexpireat",
        arity: -6,
        flags: GROW_FAST,
        keys: &[KeySpec::one(1, UPDATE)],
        group: Group::Hash,
        since: "7.4.0",
        summary: "Gives fields of a hash a deadline, in Unix seconds.",
        complexity: "O(N) with N fields named",
        args: &[KEY, Arg::new("unix-time-seconds", ArgKind::UnixTime), CONDITION, FIELDS_BLOCK],
        reply: Shape::Array,
        run: Run::OnShard(ttl::hexpireat),
        ..Row::BLANK
    },
    Row {
        name: "hpexpireat",
        arity: -6,
        flags: GROW_FAST,
        keys: &[KeySpec::one(1, UPDATE)],
        group: Group::Hash,
        since: "7.4.0",
        summary: "Gives fields of a hash a deadline, in Unix milliseconds.",
        complexity: "O(N) with N fields named",
        args: &[KEY, Arg::new("unix-time-milliseconds", ArgKind::UnixTime), CONDITION, FIELDS_BLOCK],
        reply: Shape::Array,
        run: Run::OnShard(ttl::hpexpireat),
        ..Row::BLANK
    },
    Row {
        name: "httl",
        arity: -5,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Hash,
        since: "7.4.0",
        summary: "Tells the seconds until deadlines of fields.",
        complexity: "O(N) with N fields named",
        tips: &["nondeterministic_output"],
        args: &[KEY, FIELDS_BLOCK],
        reply: Shape::Array,
        run: Run::OnShard(ttl::httl),
        ..Row::BLANK
    },
    Row {
        name: "hpttl",
        arity: -5,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Hash,
        since: "7.4.0",
        summary: "Tells the milliseconds until deadlines of fields.",
        complexity: "O(N) with N fields named",
        tips: &["nondeterministic_output"],
        args: &[KEY, FIELDS_BLOCK],
        reply: Shape::Array,
        run: Run::OnShard(ttl::hpttl),
        ..Row::BLANK
    },
    Row {
        name: "hexpiretime",
        arity: -5,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Hash,
        since: "7.4.0",
        summary: "Tells the deadlines of fields in Unix seconds.",
        complexity: "O(N) with N fields named",
        args: &[KEY, FIELDS_BLOCK],
        reply: Shape::Array,
        run: Run::OnShard(ttl::hexpiretime),
        ..Row::BLANK
    },
    Row {
        name: "hpexpiretime",
        arity: -5,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Hash,
        since: "7.4.0",
        summary: "Tells the deadlines of fields in Unix milliseconds.",
        complexity: "O(N) with N fields named",
        args: &[KEY, FIELDS_BLOCK],
        reply: Shape::Array,
        run: Run::OnShard(ttl::hpexpiretime),
        ..Row::BLANK
    },
    Row {
        name: "hpersist",
        arity: -5,
        flags: WRITE_FAST,
        keys: &[KeySpec::one(1, UPDATE)],
        group: Group::Hash,
        since: "7.4.0",
        summary: "Takes the deadlines of fields off.",
        complexity: "O(N) with N fields named",
        args: &[KEY, FIELDS_BLOCK],
        reply: Shape::Array,
        run: Run::OnShard(ttl::hpersist),
        ..Row::BLANK
    },
    Row {
        name: "hgetex",
        arity: -5,
        flags: WRITE_FAST,
        keys: &[KeySpec::one(1, COUNT)],
        group: Group::Hash,
        since: "8.0.0",
        summary: "Reads fields of a hash and sets their deadline or takes it off.",
        complexity: "O(N) with N fields named",
        tips: &["nondeterministic_output"],
        args: &[KEY, GETEX_EXPIRY, FIELDS_BLOCK],
        reply: Shape::Array,
        run: Run::OnShard(getset::hgetex),
        ..Row::BLANK
    },
    Row {
        name: "hsetex",
        arity: -6,
        flags: GROW_FAST,
        keys: &[KeySpec::one(1, UPDATE)],
        group: Group::Hash,
        since: "8.0.0",
        summary: "Sets fields of a hash to values, with a deadline.",
        complexity: "O(N) with N fields named",
        args: &[KEY, EXISTENCE, SETEX_EXPIRY, PAIRS_BLOCK],
        reply: Shape::Int,
        run: Run::OnShard(getset::hsetex),
        ..Row::BLANK
    },
    Row {
        name: "hgetdel",
        arity: -5,
        flags: WRITE_FAST,
        keys: &[KeySpec::one(1, TAKE)],
        group: Group::Hash,
        since: "8.0.0",
        summary: "Reads fields of a hash and removes them.",
        complexity: "O(N) with N fields named",
        args: &[KEY, FIELDS_BLOCK],
        reply: Shape::Array,
        run: Run::OnShard(getset::hgetdel),
        ..Row::BLANK
    },
];
