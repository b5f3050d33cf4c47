//! The rows of the string family: its table of contents.

use super::{compare, get, incr, increx, lcs, multi, range, set};
use crate::commands::spec::{
    Access, Arg, ArgKind, Begin, Find, Flags, Group, KeySpec, Merge, Row, Run, Shape,
};

const READ: Access = Access::RO.and(Access::ACCESS);
const COUNT: Access = Access::RW.and(Access::ACCESS).and(Access::UPDATE);
const OVERWRITE: Access = Access::OW.and(Access::UPDATE);
const READ_FAST: Flags = Flags::READONLY.and(Flags::FAST);
const WRITE: Flags = Flags::WRITE;
const WRITE_FAST: Flags = Flags::WRITE.and(Flags::FAST);

const VALUE: Arg = Arg::new("value", ArgKind::String);
const PAIRS: Arg = Arg::new("data", ArgKind::Block(&[Arg::key("key", 0), VALUE])).multiple();

const EX: Arg = Arg::new("seconds", ArgKind::Integer).token("EX");
const PX: Arg = Arg::new("milliseconds", ArgKind::Integer).token("PX");
const EXAT: Arg = Arg::new("unix-time-seconds", ArgKind::UnixTime).token("EXAT");
const PXAT: Arg = Arg::new("unix-time-milliseconds", ArgKind::UnixTime).token("PXAT");
const SET_EXPIRY: Arg = Arg::new(
    "expiration",
    ArgKind::OneOf(&[
        EX.since("2.6.12"),
        PX.since("2.6.12"),
        EXAT.since("6.2.0"),
        PXAT.since("6.2.0"),
        Arg::word("keepttl", "KEEPTTL").since("6.0.0"),
    ]),
)
.optional();
const GETEX_EXPIRY: Arg =
    Arg::new("expiration", ArgKind::OneOf(&[EX, PX, EXAT, PXAT, Arg::word("persist", "PERSIST")])).optional();

const NX: Arg = Arg::word("nx", "NX");
const XX: Arg = Arg::word("xx", "XX");
const IFEQ: Arg = Arg::new("ifeq-value", ArgKind::String).token("IFEQ");
const IFNE: Arg = Arg::new("ifne-value", ArgKind::String).token("IFNE");
const IFDEQ: Arg = Arg::new("ifdeq-digest", ArgKind::String).token("IFDEQ");
const IFDNE: Arg = Arg::new("ifdne-digest", ArgKind::String).token("IFDNE");
const EXISTENCE: Arg = Arg::new("condition", ArgKind::OneOf(&[NX, XX])).optional();
const SET_CONDITION: Arg = Arg::new(
    "condition",
    ArgKind::OneOf(&[
        NX,
        XX,
        IFEQ.since("8.4.0"),
        IFNE.since("8.4.0"),
        IFDEQ.since("8.4.0"),
        IFDNE.since("8.4.0"),
    ]),
)
.optional()
.since("2.6.12");
const DELEX_CONDITION: Arg = Arg::new("condition", ArgKind::OneOf(&[IFEQ, IFNE, IFDEQ, IFDNE])).optional();
const INCREX_BY: Arg = Arg::new(
    "increment",
    ArgKind::OneOf(&[
        Arg::new("float", ArgKind::Double).token("BYFLOAT"),
        Arg::new("integer", ArgKind::Integer).token("BYINT"),
    ]),
)
.optional();

/// The rows of the string family.
pub const ROWS: &[Row] = &[
    Row {
        name: "get",
        arity: 2,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        group: Group::String,
        since: "1.0.0",
        summary: "Reads the string under a key.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0)],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null]),
        run: Run::OnShard(get::get),
        ..Row::BLANK
    },
    Row {
        name: "set",
        arity: -3,
        flags: WRITE.and(Flags::DENYOOM),
        keys: &[KeySpec {
            notes: "RW and ACCESS because of GET and the conditions",
            ..KeySpec::one(1, COUNT.and(Access::VARIABLE_FLAGS))
        }],
        access_of: Some(set::access_of),
        group: Group::String,
        since: "1.0.0",
        summary: "Stores a string under a key, whatever it held.",
        complexity: "O(1)",
        args: &[
            Arg::key("key", 0),
            VALUE,
            SET_CONDITION,
            Arg::word("get", "GET").optional().since("6.2.0"),
            SET_EXPIRY,
        ],
        reply: Shape::Any(&[Shape::Ok, Shape::Bulk, Shape::Null]),
        run: Run::OnShard(set::set),
        ..Row::BLANK
    },
    Row {
        name: "mget",
        arity: -2,
        flags: READ_FAST,
        keys: &[KeySpec::rest(1, 1, READ)],
        group: Group::String,
        since: "1.0.0",
        summary: "Reads the strings under several keys.",
        complexity: "O(N) with N keys",
        tips: &["request_policy:multi_shard"],
        args: &[Arg::key("key", 0).multiple()],
        reply: Shape::Array,
        run: Run::PerKey { each: multi::mget_one, stride: 1, merge: Merge::Elements },
        ..Row::BLANK
    },
    Row {
        name: "mset",
        arity: -3,
        flags: WRITE.and(Flags::DENYOOM),
        keys: &[KeySpec::rest(1, 2, OVERWRITE)],
        group: Group::String,
        since: "1.0.1",
        summary: "Stores strings under several keys at once.",
        complexity: "O(N) with N keys",
        tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
        args: &[PAIRS],
        reply: Shape::Ok,
        run: Run::PerKey { each: multi::mset_one, stride: 2, merge: Merge::Ok },
        ..Row::BLANK
    },
    Row {
        name: "incr",
        arity: 2,
        flags: WRITE_FAST.and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, COUNT)],
        group: Group::String,
        since: "1.0.0",
        summary: "Adds one to the integer under a key; a missing key counts as 0.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0)],
        reply: Shape::Int,
        run: Run::OnShard(incr::incr),
        ..Row::BLANK
    },
    Row {
        name: "decr",
        arity: 2,
        flags: WRITE_FAST.and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, COUNT)],
        group: Group::String,
        since: "1.0.0",
        summary: "Takes one from the integer under a key; a missing key counts as 0.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0)],
        reply: Shape::Int,
        run: Run::OnShard(incr::decr),
        ..Row::BLANK
    },
    Row {
        name: "incrby",
        arity: 3,
        flags: WRITE_FAST.and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, COUNT)],
        group: Group::String,
        since: "1.0.0",
        summary: "Adds a number to the integer under a key; a missing key counts as 0.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0), Arg::new("increment", ArgKind::Integer)],
        reply: Shape::Int,
        run: Run::OnShard(incr::incrby),
        ..Row::BLANK
    },
    Row {
        name: "decrby",
        arity: 3,
        flags: WRITE_FAST.and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, COUNT)],
        group: Group::String,
        since: "1.0.0",
        summary: "Takes a number from the integer under a key; a missing key counts as 0.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0), Arg::new("decrement", ArgKind::Integer)],
        reply: Shape::Int,
        run: Run::OnShard(incr::decrby),
        ..Row::BLANK
    },
    Row {
        name: "incrbyfloat",
        arity: 3,
        flags: WRITE_FAST.and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, COUNT)],
        group: Group::String,
        since: "2.6.0",
        summary: "Adds a float to the number under a key; a missing key counts as 0.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0), Arg::new("increment", ArgKind::Double)],
        reply: Shape::Bulk,
        run: Run::OnShard(incr::incrbyfloat),
        ..Row::BLANK
    },
    Row {
        name: "increx",
        arity: -2,
        flags: WRITE_FAST.and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, COUNT)],
        group: Group::String,
        since: "8.8.0",
        summary: "Adds to the number under a key within bounds and sets when it expires.",
        complexity: "O(1)",
        args: &[
            Arg::key("key", 0),
            INCREX_BY,
            Arg::word("saturate", "SATURATE").optional(),
            Arg::new("lowerbound", ArgKind::String).token("LBOUND").optional(),
            Arg::new("upperbound", ArgKind::String).token("UBOUND").optional(),
            GETEX_EXPIRY,
            Arg::word("enx", "ENX").optional(),
        ],
        reply: Shape::Array,
        run: Run::OnShard(increx::increx),
        ..Row::BLANK
    },
    Row {
        name: "append",
        arity: 3,
        flags: WRITE_FAST.and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, Access::RW.and(Access::INSERT))],
        group: Group::String,
        since: "2.0.0",
        summary: "Adds bytes to the end of a string; a missing key counts as empty.",
        complexity: "O(1) amortised, with M bytes added O(M)",
        args: &[Arg::key("key", 0), VALUE],
        reply: Shape::Int,
        run: Run::OnShard(range::append),
        ..Row::BLANK
    },
    Row {
        name: "setrange",
        arity: 4,
        flags: WRITE.and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, Access::RW.and(Access::UPDATE))],
        group: Group::String,
        since: "2.2.0",
        summary: "Overwrites bytes of a string from an offset on, padding it with zeros.",
        complexity: "O(M) with M bytes written",
        args: &[Arg::key("key", 0), Arg::new("offset", ArgKind::Integer), VALUE],
        reply: Shape::Int,
        run: Run::OnShard(range::setrange),
        ..Row::BLANK
    },
    Row {
        name: "getrange",
        arity: 4,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::String,
        since: "2.4.0",
        summary: "Reads a part of a string.",
        complexity: "O(M) with M bytes returned",
        args: &[Arg::key("key", 0), Arg::new("start", ArgKind::Integer), Arg::new("end", ArgKind::Integer)],
        reply: Shape::Bulk,
        run: Run::OnShard(range::getrange),
        ..Row::BLANK
    },
    Row {
        name: "substr",
        arity: 4,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::String,
        since: "1.0.0",
        deprecated: Some(("2.0.0", "`GETRANGE`")),
        summary: "The old name of GETRANGE.",
        complexity: "O(M) with M bytes returned",
        args: &[Arg::key("key", 0), Arg::new("start", ArgKind::Integer), Arg::new("end", ArgKind::Integer)],
        reply: Shape::Bulk,
        run: Run::OnShard(range::getrange),
        ..Row::BLANK
    },
    Row {
        name: "strlen",
        arity: 2,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, Access::RO)],
        group: Group::String,
        since: "2.2.0",
        summary: "Tells the length of a string.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0)],
        reply: Shape::Int,
        run: Run::OnShard(range::strlen),
        ..Row::BLANK
    },
    Row {
        name: "getdel",
        arity: 2,
        flags: WRITE_FAST,
        keys: &[KeySpec::one(1, Access::RW.and(Access::ACCESS).and(Access::DELETE))],
        group: Group::String,
        since: "6.2.0",
        summary: "Reads a string and deletes its key.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0)],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null]),
        run: Run::OnShard(get::getdel),
        ..Row::BLANK
    },
    Row {
        name: "getex",
        arity: -2,
        flags: WRITE_FAST,
        keys: &[KeySpec {
            notes: "RW and UPDATE because it may change when the key expires",
            ..KeySpec::one(1, COUNT)
        }],
        group: Group::String,
        since: "6.2.0",
        summary: "Reads a string and sets or takes off when its key expires.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0), GETEX_EXPIRY],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null]),
        run: Run::OnShard(get::getex),
        ..Row::BLANK
    },
    Row {
        name: "getset",
        arity: 3,
        flags: WRITE_FAST.and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, COUNT)],
        group: Group::String,
        since: "1.0.0",
        deprecated: Some(("6.2.0", "`SET` with the `!GET` argument")),
        summary: "Stores a string and returns the one it replaces.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0), VALUE],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null]),
        run: Run::OnShard(set::getset),
        ..Row::BLANK
    },
    Row {
        name: "setnx",
        arity: 3,
        flags: WRITE_FAST.and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, Access::OW.and(Access::INSERT))],
        group: Group::String,
        since: "1.0.0",
        summary: "Stores a string if the key does not exist.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0), VALUE],
        reply: Shape::Int,
        run: Run::OnShard(set::setnx),
        ..Row::BLANK
    },
    Row {
        name: "setex",
        arity: 4,
        flags: WRITE.and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, OVERWRITE)],
        group: Group::String,
        since: "2.0.0",
        summary: "Stores a string that expires after some seconds.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0), Arg::new("seconds", ArgKind::Integer), VALUE],
        reply: Shape::Ok,
        run: Run::OnShard(set::setex),
        ..Row::BLANK
    },
    Row {
        name: "psetex",
        arity: 4,
        flags: WRITE.and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, OVERWRITE)],
        group: Group::String,
        since: "2.6.0",
        summary: "Stores a string that expires after some milliseconds.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0), Arg::new("milliseconds", ArgKind::Integer), VALUE],
        reply: Shape::Ok,
        run: Run::OnShard(set::psetex),
        ..Row::BLANK
    },
    Row {
        name: "msetnx",
        arity: -3,
        flags: WRITE.and(Flags::DENYOOM),
        keys: &[KeySpec::rest(1, 2, Access::OW.and(Access::INSERT))],
        group: Group::String,
        since: "1.0.1",
        summary: "Stores strings under several keys if none of them exists.",
        complexity: "O(N) with N keys",
        args: &[PAIRS],
        reply: Shape::Int,
        run: Run::Hops { here: None, hops: multi::MSETNX, finish: multi::stored },
        ..Row::BLANK
    },
    Row {
        name: "msetex",
        arity: -4,
        flags: WRITE.and(Flags::DENYOOM).and(Flags::MOVABLEKEYS),
        keys: &[KeySpec {
            begin: Begin::Index(1),
            find: Find::KeyNum { index: 0, first: 1, step: 2 },
            access: OVERWRITE,
            notes: "",
        }],
        group: Group::String,
        since: "8.4.0",
        summary: "Stores strings under several keys with a common expiry, perhaps only if none or all exist.",
        complexity: "O(N) with N keys",
        args: &[Arg::new("numkeys", ArgKind::Integer), PAIRS, EXISTENCE, SET_EXPIRY],
        reply: Shape::Int,
        run: Run::Hops { here: None, hops: multi::MSETEX, finish: multi::stored },
        ..Row::BLANK
    },
    Row {
        name: "lcs",
        arity: -3,
        flags: Flags::READONLY,
        keys: &[KeySpec { find: Find::Range { last: 1, step: 1, limit: 0 }, ..KeySpec::one(1, READ) }],
        group: Group::String,
        since: "7.0.0",
        summary: "Finds the longest common subsequence of two strings.",
        complexity: "O(N*M) with strings of N and M bytes",
        args: &[
            Arg::key("key1", 0),
            Arg::key("key2", 0),
            Arg::word("len", "LEN").optional(),
            Arg::word("idx", "IDX").optional(),
            Arg::new("min-match-len", ArgKind::Integer).token("MINMATCHLEN").optional(),
            Arg::word("withmatchlen", "WITHMATCHLEN").optional(),
        ],
        reply: Shape::Any(&[Shape::Bulk, Shape::Int, Shape::Map]),
        run: Run::Hops { here: None, hops: lcs::LCS, finish: lcs::finish },
        ..Row::BLANK
    },
    Row {
        name: "digest",
        arity: 2,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        group: Group::String,
        since: "8.4.0",
        summary: "Tells the XXH3 digest of a string as hexadecimal digits.",
        complexity: "O(N) with N bytes",
        args: &[Arg::key("key", 0)],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null]),
        run: Run::OnShard(compare::digest),
        ..Row::BLANK
    },
    Row {
        name: "delex",
        arity: -2,
        flags: WRITE_FAST,
        keys: &[KeySpec::one(1, Access::RW.and(Access::DELETE).and(Access::VARIABLE_FLAGS))],
        group: Group::String,
        since: "8.4.0",
        summary: "Deletes a key, perhaps only if its value or digest is or is not the given one.",
        complexity: "O(1), with a digest O(N) with N bytes",
        args: &[Arg::key("key", 0), DELEX_CONDITION],
        reply: Shape::Int,
        run: Run::OnShard(compare::delex),
        ..Row::BLANK
    },
    Row {
        name: "delifeq",
        arity: 3,
        flags: WRITE_FAST,
        keys: &[KeySpec::one(1, Access::RW.and(Access::DELETE))],
        group: Group::String,
        since: "9.0.0",
        summary: "Deletes a key if its value is the given one (a command of Valkey).",
        complexity: "O(1)",
        args: &[Arg::key("key", 0), VALUE],
        reply: Shape::Int,
        run: Run::OnShard(compare::delifeq),
        ..Row::BLANK
    },
];
