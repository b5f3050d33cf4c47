//! The rows of the sorted set family: its table of contents.

use super::{add, combine, pop, random, range, read, remove, scan};
use crate::commands::pop_first::{self, Counted, CountedAfterTimeout, First, Last};
use crate::commands::spec::{Access, Arg, ArgKind, Begin, Find, Flags, Group, KeySpec, Row, Run, Shape};
use crate::types::ZSet;

const READ: Access = Access::RO.and(Access::ACCESS);
const POP: Access = Access::RW.and(Access::ACCESS).and(Access::DELETE);
const REMOVE: Access = Access::RW.and(Access::DELETE);
const OVERWRITE: Access = Access::OW.and(Access::UPDATE);
const READ_FAST: Flags = Flags::READONLY.and(Flags::FAST);
const WRITE_GROWING: Flags = Flags::WRITE.and(Flags::DENYOOM);
const AGGREGATE: Arg = Arg::new(
    "aggregate",
    ArgKind::OneOf(&[
        Arg::word("sum", "SUM"),
        Arg::word("min", "MIN"),
        Arg::word("max", "MAX"),
        Arg::word("count", "COUNT").since("8.8.0"),
    ]),
)
.token("AGGREGATE")
.optional();
const WEIGHTS: Arg = Arg::new("weight", ArgKind::Integer).token("WEIGHTS").optional().multiple();
const WITHSCORES: Arg = Arg::word("withscores", "WITHSCORES").optional();
const NUMKEYS: Arg = Arg::new("numkeys", ArgKind::Integer);
const WHERE: Arg = Arg::new("where", ArgKind::OneOf(&[Arg::word("min", "MIN"), Arg::word("max", "MAX")]));
const COUNT_OPTION: Arg = Arg::new("count", ArgKind::Integer).token("COUNT").optional();
const LIMIT: Arg = Arg::new(
    "offset_count",
    ArgKind::Block(&[Arg::new("offset", ArgKind::Integer), Arg::new("count", ArgKind::Integer)]),
)
.token("LIMIT")
.optional();
const MEMBER: Arg = Arg::new("member", ArgKind::String);

/// The rows of the sorted set family.
pub const ROWS: &[Row] = &[
    Row {
        name: "zadd",
        arity: -4,
        flags: WRITE_GROWING.and(Flags::FAST),
        keys: &[KeySpec::one(1, Access::RW.and(Access::UPDATE))],
        group: Group::SortedSet,
        since: "1.2.0",
        summary: "Gives members of a sorted set their scores, adding those that are missing.",
        complexity: "O(log N) for each member, with N members in the set",
        args: &[
            Arg::key("key", 0),
            Arg::new("condition", ArgKind::OneOf(&[Arg::word("nx", "NX"), Arg::word("xx", "XX")]))
                .optional()
                .since("3.0.2"),
            Arg::new("comparison", ArgKind::OneOf(&[Arg::word("gt", "GT"), Arg::word("lt", "LT")]))
                .optional()
                .since("6.2.0"),
            Arg::word("change", "CH").optional().since("3.0.2"),
            Arg::word("increment", "INCR").optional().since("3.0.2"),
            Arg::new("score_member", ArgKind::Block(&[Arg::new("score", ArgKind::Double), MEMBER]))
                .multiple(),
        ],
        reply: Shape::Any(&[Shape::Int, Shape::Double, Shape::Bulk, Shape::Null]),
        run: Run::OnShard(add::zadd),
        ..Row::BLANK
    },
    Row {
        name: "zincrby",
        arity: 4,
        flags: WRITE_GROWING.and(Flags::FAST),
        keys: &[KeySpec::one(1, Access::RW.and(Access::ACCESS).and(Access::UPDATE))],
        group: Group::SortedSet,
        since: "1.2.0",
        summary: "Adds to the score of a member; a missing one counts as 0.",
        complexity: "O(log N) with N members",
        args: &[Arg::key("key", 0), Arg::new("increment", ArgKind::Integer), MEMBER],
        reply: Shape::Any(&[Shape::Double, Shape::Bulk]),
        run: Run::OnShard(add::zincrby),
        ..Row::BLANK
    },
    Row {
        name: "zrem",
        arity: -3,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: &[KeySpec::one(1, REMOVE)],
        group: Group::SortedSet,
        since: "1.2.0",
        summary: "Takes members out of a sorted set; an empty one is gone.",
        complexity: "O(M log N) with M members given and N in the set",
        args: &[Arg::key("key", 0), MEMBER.multiple()],
        reply: Shape::Int,
        run: Run::OnShard(remove::zrem),
        ..Row::BLANK
    },
    Row {
        name: "zremrangebyscore",
        arity: 4,
        flags: Flags::WRITE,
        keys: &[KeySpec::one(1, REMOVE)],
        group: Group::SortedSet,
        since: "1.2.0",
        summary: "Takes out the members with scores in a range.",
        complexity: "O(M log N) with M members taken out of N",
        args: &[Arg::key("key", 0), Arg::new("min", ArgKind::Double), Arg::new("max", ArgKind::Double)],
        reply: Shape::Int,
        run: Run::OnShard(remove::zremrangebyscore),
        ..Row::BLANK
    },
    Row {
        name: "zremrangebyrank",
        arity: 4,
        flags: Flags::WRITE,
        keys: &[KeySpec::one(1, REMOVE)],
        group: Group::SortedSet,
        since: "2.0.0",
        summary: "Takes out the members with ranks in a range.",
        complexity: "O(M log N) with M members taken out of N",
        args: &[Arg::key("key", 0), Arg::new("start", ArgKind::Integer), Arg::new("stop", ArgKind::Integer)],
        reply: Shape::Int,
        run: Run::OnShard(remove::zremrangebyrank),
        ..Row::BLANK
    },
    Row {
        name: "zremrangebylex",
        arity: 4,
        flags: Flags::WRITE,
        keys: &[KeySpec::one(1, REMOVE)],
        group: Group::SortedSet,
        since: "2.8.9",
        summary: "Takes out the members in a range of byte order, among equal scores.",
        complexity: "O(M log N) with M members taken out of N",
        args: &[Arg::key("key", 0), Arg::new("min", ArgKind::String), Arg::new("max", ArgKind::String)],
        reply: Shape::Int,
        run: Run::OnShard(remove::zremrangebylex),
        ..Row::BLANK
    },
    Row {
        name: "zunionstore",
        arity: -4,
        flags: WRITE_GROWING,
        keys: &[
            KeySpec::one(1, OVERWRITE),
            KeySpec {
                begin: Begin::Index(2),
                find: Find::KeyNum { index: 0, first: 1, step: 1 },
                access: READ,
                notes: "",
            },
        ],
        group: Group::SortedSet,
        since: "2.0.0",
        summary: "Stores the union of sorted sets under a key.",
        complexity: "O(N + M log M) with N members read and M in the result",
        args: &[Arg::key("destination", 0), NUMKEYS, Arg::key("key", 1).multiple(), WEIGHTS, AGGREGATE],
        reply: Shape::Int,
        run: Run::Hops {
            here: Some(combine::here::<combine::Zunionstore>),
            hops: combine::hops::<combine::Zunionstore>(),
            finish: combine::finish::<combine::Zunionstore>(),
        },
        ..Row::BLANK
    },
    Row {
        name: "zinterstore",
        arity: -4,
        flags: WRITE_GROWING,
        keys: &[
            KeySpec::one(1, OVERWRITE),
            KeySpec {
                begin: Begin::Index(2),
                find: Find::KeyNum { index: 0, first: 1, step: 1 },
                access: READ,
                notes: "",
            },
        ],
        group: Group::SortedSet,
        since: "2.0.0",
        summary: "Stores the intersection of sorted sets under a key.",
        complexity: "O(N K + M log M) with N members in the smallest of K sets and M in the result",
        args: &[Arg::key("destination", 0), NUMKEYS, Arg::key("key", 1).multiple(), WEIGHTS, AGGREGATE],
        reply: Shape::Int,
        run: Run::Hops {
            here: Some(combine::here::<combine::Zinterstore>),
            hops: combine::hops::<combine::Zinterstore>(),
            finish: combine::finish::<combine::Zinterstore>(),
        },
        ..Row::BLANK
    },
    Row {
        name: "zdiffstore",
        arity: -4,
        flags: WRITE_GROWING,
        keys: &[
            KeySpec::one(1, OVERWRITE),
            KeySpec {
                begin: Begin::Index(2),
                find: Find::KeyNum { index: 0, first: 1, step: 1 },
                access: READ,
                notes: "",
            },
        ],
        group: Group::SortedSet,
        since: "6.2.0",
        summary: "Stores the difference between the first sorted set and the others under a key.",
        complexity: "O(N K + M log M) with N members in the first of K sets and M in the result",
        args: &[Arg::key("destination", 0), NUMKEYS, Arg::key("key", 1).multiple()],
        reply: Shape::Int,
        run: Run::Hops {
            here: Some(combine::here::<combine::Zdiffstore>),
            hops: combine::hops::<combine::Zdiffstore>(),
            finish: combine::finish::<combine::Zdiffstore>(),
        },
        ..Row::BLANK
    },
    Row {
        name: "zunion",
        arity: -3,
        flags: Flags::READONLY,
        keys: &[KeySpec {
            begin: Begin::Index(1),
            find: Find::KeyNum { index: 0, first: 1, step: 1 },
            access: READ,
            notes: "",
        }],
        group: Group::SortedSet,
        since: "6.2.0",
        summary: "Computes the union of sorted sets.",
        complexity: "O(N + M log M) with N members read and M in the result",
        args: &[NUMKEYS, Arg::key("key", 0).multiple(), WEIGHTS, AGGREGATE, WITHSCORES],
        reply: Shape::Array,
        run: Run::Hops {
            here: Some(combine::here::<combine::Zunion>),
            hops: combine::hops::<combine::Zunion>(),
            finish: combine::finish::<combine::Zunion>(),
        },
        ..Row::BLANK
    },
    Row {
        name: "zinter",
        arity: -3,
        flags: Flags::READONLY,
        keys: &[KeySpec {
            begin: Begin::Index(1),
            find: Find::KeyNum { index: 0, first: 1, step: 1 },
            access: READ,
            notes: "",
        }],
        group: Group::SortedSet,
        since: "6.2.0",
        summary: "Computes the intersection of sorted sets.",
        complexity: "O(N K + M log M) with N members in the smallest of K sets and M in the result",
        args: &[NUMKEYS, Arg::key("key", 0).multiple(), WEIGHTS, AGGREGATE, WITHSCORES],
        reply: Shape::Array,
        run: Run::Hops {
            here: Some(combine::here::<combine::Zinter>),
            hops: combine::hops::<combine::Zinter>(),
            finish: combine::finish::<combine::Zinter>(),
        },
        ..Row::BLANK
    },
    Row {
        name: "zintercard",
        arity: -3,
        flags: Flags::READONLY,
        keys: &[KeySpec {
            begin: Begin::Index(1),
            find: Find::KeyNum { index: 0, first: 1, step: 1 },
            access: READ,
            notes: "",
        }],
        group: Group::SortedSet,
        since: "7.0.0",
        summary: "Counts the intersection of sorted sets, up to a limit.",
        complexity: "O(N K) with N members in the smallest of K sets",
        args: &[
            NUMKEYS,
            Arg::key("key", 0).multiple(),
            Arg::new("limit", ArgKind::Integer).token("LIMIT").optional(),
        ],
        reply: Shape::Int,
        run: Run::Hops {
            here: Some(combine::here::<combine::Zintercard>),
            hops: combine::hops::<combine::Zintercard>(),
            finish: combine::finish::<combine::Zintercard>(),
        },
        ..Row::BLANK
    },
    Row {
        name: "zdiff",
        arity: -3,
        flags: Flags::READONLY,
        keys: &[KeySpec {
            begin: Begin::Index(1),
            find: Find::KeyNum { index: 0, first: 1, step: 1 },
            access: READ,
            notes: "",
        }],
        group: Group::SortedSet,
        since: "6.2.0",
        summary: "Computes the difference between the first sorted set and the others.",
        complexity: "O(N K + M log M) with N members in the first of K sets and M in the result",
        args: &[NUMKEYS, Arg::key("key", 0).multiple(), WITHSCORES],
        reply: Shape::Array,
        run: Run::Hops {
            here: Some(combine::here::<combine::Zdiff>),
            hops: combine::hops::<combine::Zdiff>(),
            finish: combine::finish::<combine::Zdiff>(),
        },
        ..Row::BLANK
    },
    Row {
        name: "zrange",
        arity: -4,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::SortedSet,
        since: "1.2.0",
        summary: "Shows the members in a range of ranks, scores or byte order.",
        complexity: "O(log N + M) with N members in the set and M shown",
        args: &[
            Arg::key("key", 0),
            Arg::new("start", ArgKind::String),
            Arg::new("stop", ArgKind::String),
            Arg::new(
                "sortby",
                ArgKind::OneOf(&[Arg::word("byscore", "BYSCORE"), Arg::word("bylex", "BYLEX")]),
            )
            .optional()
            .since("6.2.0"),
            Arg::word("rev", "REV").optional().since("6.2.0"),
            LIMIT.since("6.2.0"),
            WITHSCORES,
        ],
        reply: Shape::Array,
        run: Run::OnShard(range::zrange),
        ..Row::BLANK
    },
    Row {
        name: "zrangestore",
        arity: -5,
        flags: WRITE_GROWING,
        keys: &[KeySpec::one(1, OVERWRITE), KeySpec::one(2, READ)],
        group: Group::SortedSet,
        since: "6.2.0",
        summary: "Stores a range of a sorted set under another key.",
        complexity: "O(log N + M log M) with N members in the set and M stored",
        args: &[
            Arg::key("dst", 0),
            Arg::key("src", 1),
            Arg::new("min", ArgKind::String),
            Arg::new("max", ArgKind::String),
            Arg::new(
                "sortby",
                ArgKind::OneOf(&[Arg::word("byscore", "BYSCORE"), Arg::word("bylex", "BYLEX")]),
            )
            .optional(),
            Arg::word("rev", "REV").optional(),
            LIMIT,
        ],
        reply: Shape::Int,
        run: Run::Hops { here: Some(range::zrangestore), hops: range::ZRANGESTORE, finish: range::STORED },
        ..Row::BLANK
    },
    Row {
        name: "zrangebyscore",
        arity: -4,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::SortedSet,
        since: "1.0.5",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `BYSCORE` argument")),
        summary: "Shows the members with scores in a range.",
        complexity: "O(log N + M) with N members in the set and M shown",
        args: &[
            Arg::key("key", 0),
            Arg::new("min", ArgKind::Double),
            Arg::new("max", ArgKind::Double),
            WITHSCORES.since("2.0.0"),
            LIMIT,
        ],
        reply: Shape::Array,
        run: Run::OnShard(range::zrangebyscore),
        ..Row::BLANK
    },
    Row {
        name: "zrevrangebyscore",
        arity: -4,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::SortedSet,
        since: "2.2.0",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments")),
        summary: "Shows the members with scores in a range, the highest first.",
        complexity: "O(log N + M) with N members in the set and M shown",
        args: &[
            Arg::key("key", 0),
            Arg::new("max", ArgKind::Double),
            Arg::new("min", ArgKind::Double),
            WITHSCORES,
            LIMIT,
        ],
        reply: Shape::Array,
        run: Run::OnShard(range::zrevrangebyscore),
        ..Row::BLANK
    },
    Row {
        name: "zrangebylex",
        arity: -4,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::SortedSet,
        since: "2.8.9",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `BYLEX` argument")),
        summary: "Shows the members in a range of byte order, among equal scores.",
        complexity: "O(log N + M) with N members in the set and M shown",
        args: &[
            Arg::key("key", 0),
            Arg::new("min", ArgKind::String),
            Arg::new("max", ArgKind::String),
            LIMIT,
        ],
        reply: Shape::Array,
        run: Run::OnShard(range::zrangebylex),
        ..Row::BLANK
    },
    Row {
        name: "zrevrangebylex",
        arity: -4,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::SortedSet,
        since: "2.8.9",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments")),
        summary: "Shows the members in a range of byte order, the last first.",
        complexity: "O(log N + M) with N members in the set and M shown",
        args: &[
            Arg::key("key", 0),
            Arg::new("max", ArgKind::String),
            Arg::new("min", ArgKind::String),
            LIMIT,
        ],
        reply: Shape::Array,
        run: Run::OnShard(range::zrevrangebylex),
        ..Row::BLANK
    },
    Row {
        name: "zcount",
        arity: 4,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        group: Group::SortedSet,
        since: "2.0.0",
        summary: "Counts the members with scores in a range.",
        complexity: "O(log N) with N members",
        args: &[Arg::key("key", 0), Arg::new("min", ArgKind::Double), Arg::new("max", ArgKind::Double)],
        reply: Shape::Int,
        run: Run::OnShard(read::zcount),
        ..Row::BLANK
    },
    Row {
        name: "zlexcount",
        arity: 4,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        group: Group::SortedSet,
        since: "2.8.9",
        summary: "Counts the members in a range of byte order, among equal scores.",
        complexity: "O(log N) with N members",
        args: &[Arg::key("key", 0), Arg::new("min", ArgKind::String), Arg::new("max", ArgKind::String)],
        reply: Shape::Int,
        run: Run::OnShard(read::zlexcount),
        ..Row::BLANK
    },
    Row {
        name: "zrevrange",
        arity: -4,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::SortedSet,
        since: "1.2.0",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` argument")),
        summary: "Shows the members in a range of ranks, the highest score first.",
        complexity: "O(log N + M) with N members in the set and M shown",
        args: &[
            Arg::key("key", 0),
            Arg::new("start", ArgKind::Integer),
            Arg::new("stop", ArgKind::Integer),
            WITHSCORES,
        ],
        reply: Shape::Array,
        run: Run::OnShard(range::zrevrange),
        ..Row::BLANK
    },
    Row {
        name: "zcard",
        arity: 2,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, Access::RO)],
        group: Group::SortedSet,
        since: "1.2.0",
        summary: "Counts the members of a sorted set.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0)],
        reply: Shape::Int,
        run: Run::OnShard(read::zcard),
        ..Row::BLANK
    },
    Row {
        name: "zscore",
        arity: 3,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        group: Group::SortedSet,
        since: "1.2.0",
        summary: "Reads the score of a member.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0), MEMBER],
        reply: Shape::Any(&[Shape::Double, Shape::Bulk, Shape::Null]),
        run: Run::OnShard(read::zscore),
        ..Row::BLANK
    },
    Row {
        name: "zmscore",
        arity: -3,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        group: Group::SortedSet,
        since: "6.2.0",
        summary: "Reads the scores of several members.",
        complexity: "O(N) with N members asked for",
        args: &[Arg::key("key", 0), MEMBER.multiple()],
        reply: Shape::Array,
        run: Run::OnShard(read::zmscore),
        ..Row::BLANK
    },
    Row {
        name: "zrank",
        arity: -3,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        group: Group::SortedSet,
        since: "2.0.0",
        summary: "Tells how many members have lower scores than one.",
        complexity: "O(log N) with N members",
        args: &[Arg::key("key", 0), MEMBER, Arg::word("withscore", "WITHSCORE").optional().since("7.2.0")],
        reply: Shape::Any(&[Shape::Int, Shape::Null, Shape::Array]),
        run: Run::OnShard(read::zrank),
        ..Row::BLANK
    },
    Row {
        name: "zrevrank",
        arity: -3,
        flags: READ_FAST,
        keys: &[KeySpec::one(1, READ)],
        group: Group::SortedSet,
        since: "2.0.0",
        summary: "Tells how many members have higher scores than one.",
        complexity: "O(log N) with N members",
        args: &[Arg::key("key", 0), MEMBER, Arg::word("withscore", "WITHSCORE").optional().since("7.2.0")],
        reply: Shape::Any(&[Shape::Int, Shape::Null, Shape::Array]),
        run: Run::OnShard(read::zrevrank),
        ..Row::BLANK
    },
    Row {
        name: "zscan",
        arity: -3,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::SortedSet,
        since: "2.8.0",
        summary: "Walks over the members of a sorted set in steps.",
        complexity: "O(1) for a step, O(N) for all N members",
        tips: &["nondeterministic_output"],
        args: &[
            Arg::key("key", 0),
            Arg::new("cursor", ArgKind::Integer),
            Arg::new("pattern", ArgKind::Pattern).token("MATCH").optional(),
            COUNT_OPTION,
        ],
        reply: Shape::Array,
        run: Run::OnShard(scan::zscan),
        ..Row::BLANK
    },
    Row {
        name: "zpopmin",
        arity: -2,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: &[KeySpec::one(1, POP)],
        group: Group::SortedSet,
        since: "5.0.0",
        summary: "Takes out the members with the lowest scores and shows them.",
        complexity: "O(M log N) with M members taken out of N",
        args: &[Arg::key("key", 0), Arg::new("count", ArgKind::Integer).optional()],
        reply: Shape::Array,
        run: Run::OnShard(pop::zpopmin),
        ..Row::BLANK
    },
    Row {
        name: "zpopmax",
        arity: -2,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: &[KeySpec::one(1, POP)],
        group: Group::SortedSet,
        since: "5.0.0",
        summary: "Takes out the members with the highest scores and shows them.",
        complexity: "O(M log N) with M members taken out of N",
        args: &[Arg::key("key", 0), Arg::new("count", ArgKind::Integer).optional()],
        reply: Shape::Array,
        run: Run::OnShard(pop::zpopmax),
        ..Row::BLANK
    },
    Row {
        name: "zmpop",
        arity: -4,
        flags: Flags::WRITE,
        keys: &[KeySpec {
            begin: Begin::Index(1),
            find: Find::KeyNum { index: 0, first: 1, step: 1 },
            access: POP,
            notes: "",
        }],
        group: Group::SortedSet,
        since: "7.0.0",
        summary: "Takes members from an end of the first sorted set that there is.",
        complexity: "O(K + M log N) with K keys and M members taken out of N",
        args: &[NUMKEYS, Arg::key("key", 0).multiple(), WHERE, COUNT_OPTION],
        reply: Shape::Any(&[Shape::Array, Shape::Null]),
        run: pop_first::run::<Counted<ZSet>>(),
        ..Row::BLANK
    },
    Row {
        name: "bzpopmin",
        arity: -3,
        flags: Flags::WRITE.and(Flags::NOSCRIPT).and(Flags::BLOCKING).and(Flags::FAST),
        keys: &[KeySpec {
            begin: Begin::Index(1),
            find: Find::Range { last: -2, step: 1, limit: 0 },
            access: POP,
            notes: "",
        }],
        group: Group::SortedSet,
        since: "5.0.0",
        summary: "Takes the member with the lowest score from the first sorted set that there is, or waits for one.",
        complexity: "O(K + log N) with K keys and N members",
        args: &[Arg::key("key", 0).multiple(), Arg::new("timeout", ArgKind::Double)],
        reply: Shape::Any(&[Shape::Array, Shape::Null]),
        run: pop_first::run::<First<ZSet>>(),
        ..Row::BLANK
    },
    Row {
        name: "bzpopmax",
        arity: -3,
        flags: Flags::WRITE.and(Flags::NOSCRIPT).and(Flags::BLOCKING).and(Flags::FAST),
        keys: &[KeySpec {
            begin: Begin::Index(1),
            find: Find::Range { last: -2, step: 1, limit: 0 },
            access: POP,
            notes: "",
        }],
        group: Group::SortedSet,
        since: "5.0.0",
        summary: "Takes the member with the highest score from the first sorted set that there is, or waits for one.",
        complexity: "O(K + log N) with K keys and N members",
        args: &[Arg::key("key", 0).multiple(), Arg::new("timeout", ArgKind::Double)],
        reply: Shape::Any(&[Shape::Array, Shape::Null]),
        run: pop_first::run::<Last<ZSet>>(),
        ..Row::BLANK
    },
    Row {
        name: "bzmpop",
        arity: -5,
        flags: Flags::WRITE.and(Flags::BLOCKING),
        keys: &[KeySpec {
            begin: Begin::Index(2),
            find: Find::KeyNum { index: 0, first: 1, step: 1 },
            access: POP,
            notes: "",
        }],
        group: Group::SortedSet,
        since: "7.0.0",
        summary: "Takes members from an end of the first sorted set that there is, or waits for one.",
        complexity: "O(K + M log N) with K keys and M members taken out of N",
        args: &[
            Arg::new("timeout", ArgKind::Double),
            NUMKEYS,
            Arg::key("key", 0).multiple(),
            WHERE,
            COUNT_OPTION,
        ],
        reply: Shape::Any(&[Shape::Array, Shape::Null]),
        run: pop_first::run::<CountedAfterTimeout<ZSet>>(),
        ..Row::BLANK
    },
    Row {
        name: "zrandmember",
        arity: -2,
        flags: Flags::READONLY,
        keys: &[KeySpec::one(1, READ)],
        group: Group::SortedSet,
        since: "6.2.0",
        summary: "Shows random members of a sorted set.",
        complexity: "O(M log N) with M members shown of N",
        tips: &["nondeterministic_output"],
        args: &[
            Arg::key("key", 0),
            Arg::new("options", ArgKind::Block(&[Arg::new("count", ArgKind::Integer), WITHSCORES]))
                .optional(),
        ],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null, Shape::Array]),
        run: Run::OnShard(random::zrandmember),
        ..Row::BLANK
    },
];
