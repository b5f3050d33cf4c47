//! The rows of the bitmap family: its table of contents.

use super::{bits, combine, count, fields};
use crate::commands::spec::{Access, Arg, ArgKind, Flags, Group, KeySpec, Row, Run, Shape};

const READ: Access = Access::RO.and(Access::ACCESS);
const CHANGE: Access = Access::RW.and(Access::ACCESS).and(Access::UPDATE);
const READ_FAST: Flags = Flags::READONLY.and(Flags::FAST);
const WRITE: Flags = Flags::WRITE.and(Flags::DENYOOM);
const BITMAP: &[&str] = &["bitmap"];

const KEY: Arg = Arg::key("key", 0);
const OFFSET: Arg = Arg::new("offset", ArgKind::Integer);
const START: Arg = Arg::new("start", ArgKind::Integer);
const END: Arg = Arg::new("end", ArgKind::Integer);
const UNIT: Arg =
    Arg::new("index_unit", ArgKind::OneOf(&[Arg::word("byte", "BYTE"), Arg::word("bit", "BIT")]))
        .optional()
        .since("7.0.0");

const ENCODING: Arg = Arg::new("encoding", ArgKind::String);
const GET: Arg = Arg::new("encoding_offset", ArgKind::Block(&[ENCODING, OFFSET])).token("GET");
const SET: Arg = Arg::new(
    "encoding_offset_value",
    ArgKind::Block(&[ENCODING, OFFSET, Arg::new("value", ArgKind::Integer)]),
)
.token("SET");
const INCRBY: Arg = Arg::new(
    "encoding_offset_increment",
    ArgKind::Block(&[ENCODING, OFFSET, Arg::new("increment", ArgKind::Integer)]),
)
.token("INCRBY");
const OVERFLOW: Arg = Arg::new(
    "wrap_sat_fail",
    ArgKind::OneOf(&[Arg::word("wrap", "WRAP"), Arg::word("sat", "SAT"), Arg::word("fail", "FAIL")]),
)
.token("OVERFLOW")
.optional();
const FIELD_WRITE: Arg = Arg::new(
    "write",
    ArgKind::Block(&[OVERFLOW, Arg::new("write_operation", ArgKind::OneOf(&[SET, INCRBY]))]),
);
const FIELD_STEP: Arg = Arg::new("operation", ArgKind::OneOf(&[GET, FIELD_WRITE])).optional().multiple();

/// The rows of the bitmap family.
pub const ROWS: &[Row] = &[
    Row {
        name: "setbit",
        arity: 4,
        flags: WRITE,
        keys: &[KeySpec::one(1, CHANGE)],
        acl: BITMAP,
        group: Group::Bitmap,
        since: "2.2.0",
        summary: "Sets or clears one bit of a string, which grows as far as needed.",
        complexity: "O(1)",
        args: &[KEY, OFFSET, Arg::new("value", ArgKind::Integer)],
        reply: Shape::Int,
        run: Run::OnShard(bits::setbit),
        ..Row::BLANK
    },
    Row {
        name: "getbit",
        arity: 3,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        acl: BITMAP,
        group: Group::Bitmap,
        since: "2.2.0",
        summary: "Reads one bit of a string.",
        complexity: "O(1)",
        args: &[KEY, OFFSET],
        reply: Shape::Int,
        run: Run::OnShard(bits::getbit),
        ..Row::BLANK
    },
    Row {
        name: "bitcount",
        arity: -2,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        acl: BITMAP,
        group: Group::Bitmap,
        since: "2.6.0",
        summary: "Counts the bits that are set in a string or a part of it.",
        complexity: "O(N)",
        args: &[KEY, Arg::new("index", ArgKind::Block(&[START, END, UNIT])).optional()],
        reply: Shape::Int,
        run: Run::OnShard(count::bitcount),
        ..Row::BLANK
    },
    Row {
        name: "bitpos",
        arity: -3,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        acl: BITMAP,
        group: Group::Bitmap,
        since: "2.8.7",
        summary: "Finds the first bit that is set, or clear, in a string or a part of it.",
        complexity: "O(N)",
        args: &[
            KEY,
            Arg::new("bit", ArgKind::Integer),
            Arg::new(
                "index",
                ArgKind::Block(&[START, Arg::new("end_index", ArgKind::Block(&[END, UNIT])).optional()]),
            )
            .optional(),
        ],
        reply: Shape::Int,
        run: Run::OnShard(count::bitpos),
        ..Row::BLANK
    },
    Row {
        name: "bitop",
        arity: -4,
        flags: WRITE,
        keys: &[KeySpec::one(2, Access::OW.and(Access::UPDATE)), KeySpec::rest(3, 1, READ)],
        acl: BITMAP,
        group: Group::Bitmap,
        since: "2.6.0",
        summary: "Combines strings bit by bit and stores the result.",
        complexity: "O(N)",
        args: &[
            Arg::new("operation", ArgKind::String),
            Arg::key("destkey", 0),
            Arg::key("key", 1).multiple(),
        ],
        reply: Shape::Int,
        run: Run::Hops { hops: combine::BITOP, finish: combine::finish, here: None },
        ..Row::BLANK
    },
    Row {
        name: "bitfield",
        arity: -2,
        flags: WRITE,
        keys: &[KeySpec {
            notes: "RW, although it may do nothing but read",
            ..KeySpec::one(1, CHANGE.and(Access::VARIABLE_FLAGS))
        }],
        access_of: Some(fields::access_of),
        acl: BITMAP,
        group: Group::Bitmap,
        since: "3.2.0",
        summary: "Reads, stores and increments integers of any width within a string.",
        complexity: "O(1) for each subcommand specified",
        args: &[KEY, FIELD_STEP],
        reply: Shape::Array,
        run: Run::OnShard(fields::bitfield),
        ..Row::BLANK
    },
    Row {
        name: "bitfield_ro",
        arity: -2,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        acl: BITMAP,
        group: Group::Bitmap,
        since: "6.0.0",
        summary: "Reads integers of any width within a string.",
        complexity: "O(1) for each subcommand specified",
        args: &[KEY, GET.optional().multiple_token()],
        reply: Shape::Array,
        run: Run::OnShard(fields::bitfield_ro),
        ..Row::BLANK
    },
];
