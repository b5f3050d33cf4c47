//! The rows of SORT and SORT_RO.

use super::options::store_key;
use super::sort;
use super::spread::{SORT, SORT_FINISH};
use crate::commands::spec::{Access, Arg, ArgKind, Begin, Find, Flags, Group, KeySpec, Row, Run, Shape};

const READ: Access = Access::RO.and(Access::ACCESS);

const PATTERNS: KeySpec = KeySpec {
    begin: Begin::Unknown,
    find: Find::Unknown,
    access: READ,
    notes: "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort",
};
const STORE: KeySpec = KeySpec {
    begin: Begin::Unknown,
    find: Find::Unknown,
    access: Access::OW.and(Access::UPDATE),
    notes: "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array",
};

const BY: Arg = pattern("BY").optional();
const GET: Arg = pattern("GET").optional().multiple_token();
const LIMIT: Arg = Arg::new(
    "offset_count",
    ArgKind::Block(&[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)]),
)
.token("LIMIT")
.optional();
const ORDER: Arg =
    Arg::new("order", ArgKind::OneOf(&[Arg::word("asc", "ASC"), Arg::word("desc", "DESC")])).optional();
const ALPHA: Arg = Arg::word("sorting", "ALPHA").optional();

const fn pattern(token: &'static str) -> Arg {
    let mut arg = Arg::new("pattern", ArgKind::Pattern).token(token);
    arg.key_spec = Some(1);
    arg
}

const COMPLEXITY: &str =
    "O(N+M*log(M)) with N elements, M of them in the result; O(N) when nothing is sorted";
const RUN: Run = Run::Hops { here: Some(sort), hops: SORT, finish: SORT_FINISH };

/// The rows of SORT and SORT_RO.
pub const ROWS: &[Row] = &[
    Row {
        name: "sort",
        arity: -2,
        flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::MOVABLEKEYS),
        keys: &[KeySpec::one(1, READ), PATTERNS, STORE],
        more_keys: Some(store_key),
        acl: &["set", "sortedset", "list", "dangerous"],
        group: Group::Generic,
        since: "1.0.0",
        summary: "Reads or stores the elements of a list, set or sorted set in order.",
        complexity: COMPLEXITY,
        args: &[
            Arg::key("key", 0),
            BY,
            LIMIT,
            GET,
            ORDER,
            ALPHA,
            Arg::key("destination", 2).token("STORE").optional(),
        ],
        reply: Shape::Any(&[Shape::Array, Shape::Int]),
        run: RUN,
        ..Row::BLANK
    },
    Row {
        name: "sort_ro",
        arity: -2,
        flags: Flags::READONLY.and(Flags::MOVABLEKEYS),
        keys: &[KeySpec::one(1, READ), PATTERNS],
        acl: &["set", "sortedset", "list", "dangerous"],
        group: Group::Generic,
        since: "7.0.0",
        summary: "Reads the elements of a list, set or sorted set in order.",
        complexity: COMPLEXITY,
        args: &[Arg::key("key", 0), BY, LIMIT, GET, ORDER, ALPHA],
        reply: Shape::Array,
        run: RUN,
        ..Row::BLANK
    },
];
