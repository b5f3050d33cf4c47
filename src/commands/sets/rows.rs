//! The rows of the set family: its table of contents.

use super::{change, gathered, random, read};
use crate::commands::spec::{Access, Arg, ArgKind, Begin, Find, Flags, Group, KeySpec, Row, Run, Shape};

const LOOK: Access = Access::RO;
const READ: Access = Access::RO.and(Access::ACCESS);
const INSERT: Access = Access::RW.and(Access::INSERT);
const DELETE: Access = Access::RW.and(Access::DELETE);
const TAKE: Access = Access::RW.and(Access::ACCESS).and(Access::DELETE);
const UPDATE: Access = Access::RW.and(Access::UPDATE);
const OVERWRITE: Access = Access::OW.and(Access::UPDATE);
const READ_FAST: Flags = Flags::READONLY.and(Flags::FAST);
const WRITE_FAST: Flags = Flags::WRITE.and(Flags::FAST);
const STORES: Flags = Flags::WRITE.and(Flags::DENYOOM);

const KEY: Arg = Arg::key("key", 0);
const KEYS: Arg = Arg::key("key", 0).multiple();
const MEMBER: Arg = Arg::new("member", ArgKind::String);
const MEMBERS: Arg = Arg::new("member", ArgKind::String).multiple();
const LIMIT: Arg = Arg::new("limit", ArgKind::Integer).token("LIMIT").optional();
const NUMKEYS: Arg = Arg::new("numkeys", ArgKind::Integer);

/// Keys that a number announces.
const COUNTED: &[KeySpec] = &[KeySpec {
    begin: Begin::Index(1),
    find: Find::KeyNum { index: 0, first: 1, step: 1 },
    access: READ,
    notes: "",
}];
const UNORDERED: &[&str] = &["nondeterministic_output_order"];
const ONE_OR_MANY: Shape = Shape::Any(&[Shape::Bulk, Shape::Null, Shape::Array]);

/// The rows of the set family.
pub const ROWS: &[Row] = &[
    Row {
        name: "sadd",
        arity: -3,
        flags: WRITE_FAST.and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, INSERT)],
        group: Group::Set,
        since: "1.0.0",
        summary: "Adds members to a set.",
        complexity: "O(1) per member",
        args: &[KEY, MEMBERS],
        reply: Shape::Int,
        run: Run::OnShard(change::sadd),
        ..Row::BLANK
    },
    Row {
        name: "srem",
        arity: -3,
        flags: WRITE_FAST,
        keys: &[KeySpec::one(1, DELETE)],
        group: Group::Set,
        since: "1.0.0",
        summary: "Takes members out of a set.",
        complexity: "O(1) per member",
        args: &[KEY, MEMBERS],
        reply: Shape::Int,
        run: Run::OnShard(change::srem),
        ..Row::BLANK
    },
    Row {
        name: "smove",
        arity: 4,
        flags: WRITE_FAST,
        keys: &[KeySpec::one(1, TAKE), KeySpec::one(2, INSERT)],
        group: Group::Set,
        since: "1.0.0",
        summary: "Moves a member from one set to another.",
        complexity: "O(1)",
        args: &[Arg::key("source", 0), Arg::key("destination", 1), MEMBER],
        reply: Shape::Int,
        run: Run::Hops { here: Some(change::smove), hops: change::SMOVE, finish: change::SMOVE_FINISH },
        ..Row::BLANK
    },
    Row {
        name: "sismember",
        arity: 3,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, LOOK)],
        group: Group::Set,
        since: "1.0.0",
        summary: "Tells whether a set has a member.",
        complexity: "O(1)",
        args: &[KEY, MEMBER],
        reply: Shape::Int,
        run: Run::OnShard(read::sismember),
        ..Row::BLANK
    },
    Row {
        name: "smismember",
        arity: -3,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Set,
        since: "6.2.0",
        summary: "Tells of several members whether a set has them.",
        complexity: "O(N) with N members asked for",
        args: &[KEY, MEMBERS],
        reply: Shape::Array,
        run: Run::OnShard(read::smismember),
        ..Row::BLANK
    },
    Row {
        name: "scard",
        arity: 2,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, LOOK)],
        group: Group::Set,
        since: "1.0.0",
        summary: "Tells how many members a set has.",
        complexity: "O(1)",
        args: &[KEY],
        reply: Shape::Int,
        run: Run::OnShard(read::scard),
        ..Row::BLANK
    },
    Row {
        name: "smembers",
        arity: 2,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Set,
        since: "1.0.0",
        summary: "Reads all members of a set.",
        complexity: "O(N) with N members",
        tips: UNORDERED,
        args: &[KEY],
        reply: Shape::Set,
        run: Run::OnShard(read::smembers),
        ..Row::BLANK
    },
    Row {
        name: "sscan",
        arity: -3,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Set,
        since: "2.8.0",
        summary: "Reads the members of a set a slice at a time.",
        complexity: "O(1) per call, O(N) for all members",
        tips: &["nondeterministic_output"],
        args: &[
            KEY,
            Arg::new("cursor", ArgKind::Integer),
            Arg::new("pattern", ArgKind::Pattern).token("MATCH").optional(),
            Arg::new("count", ArgKind::Integer).token("COUNT").optional(),
        ],
        reply: Shape::Array,
        run: Run::OnShard(read::sscan),
        ..Row::BLANK
    },
    Row {
        name: "spop",
        arity: -2,
        flags: WRITE_FAST,
        keys: &[KeySpec::one(1, TAKE)],
        group: Group::Set,
        since: "1.0.0",
        summary: "Takes random members out of a set.",
        complexity: "O(1), with a count O(N) with N members taken",
        tips: &["nondeterministic_output"],
        args: &[KEY, Arg::new("count", ArgKind::Integer).optional().since("3.2.0")],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null, Shape::Set]),
        run: Run::OnShard(random::spop),
        ..Row::BLANK
    },
    Row {
        name: "srandmember",
        arity: -2,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::Set,
        since: "1.0.0",
        summary: "Reads random members of a set.",
        complexity: "O(1), with a count O(N) with N its absolute value",
        tips: &["nondeterministic_output"],
        args: &[KEY, Arg::new("count", ArgKind::Integer).optional().since("2.6.0")],
        reply: ONE_OR_MANY,
        run: Run::OnShard(random::srandmember),
        ..Row::BLANK
    },
    Row {
        name: "sinter",
        arity: -2,
        flags: Flags::READONLY,
        keys: &[KeySpec::rest(1, 1, READ)],
        group: Group::Set,
        since: "1.0.0",
        summary: "Reads the members that several sets share.",
        complexity: "O(N*M) with N members in the smallest set and M sets",
        tips: UNORDERED,
        args: &[KEYS],
        reply: Shape::Set,
        run: gathered::SINTER,
        ..Row::BLANK
    },
    Row {
        name: "sinterstore",
        arity: -3,
        flags: STORES,
        keys: &[KeySpec::one(1, UPDATE), KeySpec::rest(2, 1, READ)],
        group: Group::Set,
        since: "1.0.0",
        summary: "Stores the members that several sets share.",
        complexity: "O(N*M) with N members in the smallest set and M sets",
        args: &[Arg::key("destination", 0), Arg::key("key", 1).multiple()],
        reply: Shape::Int,
        run: gathered::SINTERSTORE,
        ..Row::BLANK
    },
    Row {
        name: "sintercard",
        arity: -3,
        flags: Flags::READONLY.and(Flags::MOVABLEKEYS),
        keys: COUNTED,
        group: Group::Set,
        since: "7.0.0",
        summary: "Counts the members that several sets share.",
        complexity: "O(N*M) with N members in the smallest set and M sets",
        args: &[NUMKEYS, KEYS, LIMIT],
        reply: Shape::Int,
        run: gathered::SINTERCARD,
        ..Row::BLANK
    },
    Row {
        name: "sunion",
        arity: -2,
        flags: Flags::READONLY,
        keys: &[KeySpec::rest(1, 1, READ)],
        group: Group::Set,
        since: "1.0.0",
        summary: "Reads the members that any of several sets has.",
        complexity: "O(N) with N members in all sets together",
        tips: UNORDERED,
        args: &[KEYS],
        reply: Shape::Set,
        run: gathered::SUNION,
        ..Row::BLANK
    },
    Row {
        name: "sunionstore",
        arity: -3,
        flags: STORES,
        keys: &[KeySpec::one(1, OVERWRITE), KeySpec::rest(2, 1, READ)],
        group: Group::Set,
        since: "1.0.0",
        summary: "Stores the members that any of several sets has.",
        complexity: "O(N) with N members in all sets together",
        args: &[Arg::key("destination", 0), Arg::key("key", 1).multiple()],
        reply: Shape::Int,
        run: gathered::SUNIONSTORE,
        ..Row::BLANK
    },
    Row {
        name: "sunioncard",
        arity: -3,
        flags: Flags::READONLY.and(Flags::MOVABLEKEYS),
        keys: COUNTED,
        group: Group::Set,
        since: "8.10.0",
        summary: "Counts the members that any of several sets has.",
        complexity: "O(N) with N members in all sets together",
        args: &[NUMKEYS, KEYS, Arg::word("approx", "APPROX").optional(), LIMIT],
        reply: Shape::Int,
        run: gathered::SUNIONCARD,
        ..Row::BLANK
    },
    Row {
        name: "sdiff",
        arity: -2,
        flags: Flags::READONLY,
        keys: &[KeySpec::rest(1, 1, READ)],
        group: Group::Set,
        since: "1.0.0",
        summary: "Reads the members of the first set that no other has.",
        complexity: "O(N) with N members in all sets together",
        tips: UNORDERED,
        args: &[KEYS],
        reply: Shape::Set,
        run: gathered::SDIFF,
        ..Row::BLANK
    },
    Row {
        name: "sdiffstore",
        arity: -3,
        flags: STORES,
        keys: &[KeySpec::one(1, OVERWRITE), KeySpec::rest(2, 1, READ)],
        group: Group::Set,
        since: "1.0.0",
        summary: "Stores the members of the first set that no other has.",
        complexity: "O(N) with N members in all sets together",
        args: &[Arg::key("destination", 0), Arg::key("key", 1).multiple()],
        reply: Shape::Int,
        run: gathered::SDIFFSTORE,
        ..Row::BLANK
    },
    Row {
        name: "sdiffcard",
        arity: -3,
        flags: Flags::READONLY.and(Flags::MOVABLEKEYS),
        keys: COUNTED,
        group: Group::Set,
        since: "8.10.0",
        summary: "Counts the members of the first set that no other has.",
        complexity: "O(N) with N members in all sets together",
        args: &[NUMKEYS, KEYS, LIMIT],
        reply: Shape::Int,
        run: gathered::SDIFFCARD,
        ..Row::BLANK
    },
];
