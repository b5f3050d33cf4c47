//! The rows of the list family: its table of contents.

use super::moves::{self, Blmove, Blmovem, Brpoplpush, Hops as _, Lmove, Lmovem, Rpoplpush};
use super::{between, ends, read};
use crate::commands::pop_first::{self, Counted, CountedAfterTimeout, First, Last};
use crate::commands::spec::{Access, Arg, ArgKind, Begin, Find, Flags, Group, KeySpec, Row, Run, Shape};
use crate::types::List;

const LOOK: Access = Access::RO.and(Access::ACCESS);
const INSERT: Access = Access::RW.and(Access::INSERT);
const TAKE: Access = Access::RW.and(Access::ACCESS).and(Access::DELETE);
const READ: Flags = Flags::READONLY;
const GROW: Flags = Flags::WRITE.and(Flags::DENYOOM);
const GROW_FAST: Flags = GROW.and(Flags::FAST);
const WRITE_FAST: Flags = Flags::WRITE.and(Flags::FAST);
const BLOCKING: Flags = Flags::WRITE.and(Flags::BLOCKING);

const ELEMENT: Arg = Arg::new("element", ArgKind::String);
const INDEX: Arg = Arg::new("index", ArgKind::Integer);
const START: Arg = Arg::new("start", ArgKind::Integer);
const STOP: Arg = Arg::new("stop", ArgKind::Integer);
const NUMKEYS: Arg = Arg::new("numkeys", ArgKind::Integer);
const COUNT: Arg = Arg::new("count", ArgKind::Integer).token("COUNT").optional();
const TIMEOUT: Arg = Arg::new("timeout", ArgKind::Double);
const ENDS: ArgKind = ArgKind::OneOf(&[Arg::word("left", "LEFT"), Arg::word("right", "RIGHT")]);
const END: Arg = Arg::new("where", ENDS);
const FROM: Arg = Arg::new("wherefrom", ENDS);
const TO: Arg = Arg::new("whereto", ENDS);
const MANY: Arg = Arg::new(
    "how-many",
    ArgKind::Block(&[
        Arg::new(
            "selector",
            ArgKind::OneOf(&[
                Arg::new("count", ArgKind::Integer).token("COUNT"),
                Arg::new("exactly", ArgKind::Integer).token("EXACTLY"),
            ]),
        ),
        Arg::new("ordering", ArgKind::OneOf(&[Arg::word("obo", "OBO"), Arg::word("bulk", "BULK")])),
    ]),
)
.optional();

pub const ROWS: &[Row] = &[
    Row {
        name: "lpush",
        arity: -3,
        flags: GROW_FAST,
        keys: &[KeySpec::one(1, INSERT)],
        group: Group::List,
        since: "1.0.0",
        summary: "Puts elements at the front of a list.",
        complexity: "O(1) for each element",
        args: &[Arg::key("key", 0), ELEMENT.multiple()],
        reply: Shape::Int,
        run: Run::OnShard(ends::lpush),
        ..Row::BLANK
    },
    Row {
        name: "rpush",
        arity: -3,
        flags: GROW_FAST,
        keys: &[KeySpec::one(1, INSERT)],
        group: Group::List,
        since: "1.0.0",
        summary: "Puts elements at the back of a list.",
        complexity: "O(1) for each element",
        args: &[Arg::key("key", 0), ELEMENT.multiple()],
        reply: Shape::Int,
        run: Run::OnShard(ends::rpush),
        ..Row::BLANK
    },
    Row {
        name: "lpushx",
        arity: -3,
        flags: GROW_FAST,
        keys: &[KeySpec::one(1, INSERT)],
        group: Group::List,
        since: "2.2.0",
        summary: "Puts elements at the front of a list if it exists.",
        complexity: "O(1) for each element",
        args: &[Arg::key("key", 0), ELEMENT.multiple()],
        reply: Shape::Int,
        run: Run::OnShard(ends::lpushx),
        ..Row::BLANK
    },
    Row {
        name: "rpushx",
        arity: -3,
        flags: GROW_FAST,
        keys: &[KeySpec::one(1, INSERT)],
        group: Group::List,
        since: "2.2.0",
        summary: "Puts elements at the back of a list if it exists.",
        complexity: "O(1) for each element",
        args: &[Arg::key("key", 0), ELEMENT.multiple()],
        reply: Shape::Int,
        run: Run::OnShard(ends::rpushx),
        ..Row::BLANK
    },
    Row {
        name: "lpop",
        arity: -2,
        flags: WRITE_FAST,
        keys: &[KeySpec::one(1, TAKE)],
        group: Group::List,
        since: "1.0.0",
        summary: "Takes elements from the front of a list.",
        complexity: "O(N) with N elements taken",
        args: &[Arg::key("key", 0), Arg::new("count", ArgKind::Integer).optional().since("6.2.0")],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null, Shape::Array]),
        run: Run::OnShard(ends::lpop),
        ..Row::BLANK
    },
    Row {
        name: "rpop",
        arity: -2,
        flags: WRITE_FAST,
        keys: &[KeySpec::one(1, TAKE)],
        group: Group::List,
        since: "1.0.0",
        summary: "Takes elements from the back of a list.",
        complexity: "O(N) with N elements taken",
        args: &[Arg::key("key", 0), Arg::new("count", ArgKind::Integer).optional().since("6.2.0")],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null, Shape::Array]),
        run: Run::OnShard(ends::rpop),
        ..Row::BLANK
    },
    Row {
        name: "llen",
        arity: 2,
        flags: READ.and(Flags::FAST),
        keys: &[KeySpec::one(1, Access::RO)],
        group: Group::List,
        since: "1.0.0",
        summary: "Returns the length of a list.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0)],
        reply: Shape::Int,
        run: Run::OnShard(read::llen),
        ..Row::BLANK
    },
    Row {
        name: "lrange",
        arity: 4,
        flags: READ,
        keys: &[KeySpec::one(1, LOOK)],
        group: Group::List,
        since: "1.0.0",
        summary: "Returns a range of a list's elements.",
        complexity: "O(S+N) with S elements between the start and the nearer end, and N elements returned",
        args: &[Arg::key("key", 0), START, STOP],
        reply: Shape::Array,
        run: Run::OnShard(read::lrange),
        ..Row::BLANK
    },
    Row {
        name: "lindex",
        arity: 3,
        flags: READ,
        keys: &[KeySpec::one(1, LOOK)],
        group: Group::List,
        since: "1.0.0",
        summary: "Returns the element at an index of a list.",
        complexity: "O(N) with N elements between the index and the nearer end",
        args: &[Arg::key("key", 0), INDEX],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null]),
        run: Run::OnShard(read::lindex),
        ..Row::BLANK
    },
    Row {
        name: "lset",
        arity: 4,
        flags: GROW,
        keys: &[KeySpec::one(1, Access::RW.and(Access::UPDATE))],
        group: Group::List,
        since: "1.0.0",
        summary: "Replaces the element at an index of a list.",
        complexity: "O(N) with N elements between the index and the nearer end",
        args: &[Arg::key("key", 0), INDEX, ELEMENT],
        reply: Shape::Ok,
        run: Run::OnShard(between::lset),
        ..Row::BLANK
    },
    Row {
        name: "linsert",
        arity: 5,
        flags: GROW,
        keys: &[KeySpec::one(1, INSERT)],
        group: Group::List,
        since: "2.2.0",
        summary: "Inserts an element before or after another one of a list.",
        complexity: "O(N) with N elements before the pivot",
        args: &[
            Arg::key("key", 0),
            Arg::new("where", ArgKind::OneOf(&[Arg::word("before", "BEFORE"), Arg::word("after", "AFTER")])),
            Arg::new("pivot", ArgKind::String),
            ELEMENT,
        ],
        reply: Shape::Int,
        run: Run::OnShard(between::linsert),
        ..Row::BLANK
    },
    Row {
        name: "lrem",
        arity: 4,
        flags: Flags::WRITE,
        keys: &[KeySpec::one(1, Access::RW.and(Access::DELETE))],
        group: Group::List,
        since: "1.0.0",
        summary: "Removes elements that equal a value from a list.",
        complexity: "O(N+M) with N elements in the list and M removed",
        args: &[Arg::key("key", 0), Arg::new("count", ArgKind::Integer), ELEMENT],
        reply: Shape::Int,
        run: Run::OnShard(between::lrem),
        ..Row::BLANK
    },
    Row {
        name: "ltrim",
        arity: 4,
        flags: Flags::WRITE,
        keys: &[KeySpec::one(1, Access::RW.and(Access::DELETE))],
        group: Group::List,
        since: "1.0.0",
        summary: "Keeps a range of a list's elements and removes the others.",
        complexity: "O(N) with N elements removed",
        args: &[Arg::key("key", 0), START, STOP],
        reply: Shape::Ok,
        run: Run::OnShard(between::ltrim),
        ..Row::BLANK
    },
    Row {
        name: "lpos",
        arity: -3,
        flags: READ,
        keys: &[KeySpec::one(1, LOOK)],
        group: Group::List,
        since: "6.0.6",
        summary: "Returns the indices of a list's elements that equal a value.",
        complexity: "O(N) with N elements compared",
        args: &[
            Arg::key("key", 0),
            ELEMENT,
            Arg::new("rank", ArgKind::Integer).token("RANK").optional(),
            Arg::new("num-matches", ArgKind::Integer).token("COUNT").optional(),
            Arg::new("len", ArgKind::Integer).token("MAXLEN").optional(),
        ],
        reply: Shape::Any(&[Shape::Int, Shape::Null, Shape::Array]),
        run: Run::OnShard(read::lpos),
        ..Row::BLANK
    },
    Row {
        name: "lmove",
        arity: 5,
        flags: GROW,
        keys: &[KeySpec::one(1, TAKE), KeySpec::one(2, INSERT)],
        group: Group::List,
        since: "6.2.0",
        summary: "Moves an element from one end of a list to an end of another.",
        complexity: "O(1)",
        args: &[Arg::key("source", 0), Arg::key("destination", 1), FROM, TO],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null]),
        run: Run::Hops {
            here: Some(moves::here::<Lmove>),
            hops: Lmove::HOPS,
            finish: moves::finish::<Lmove>,
        },
        ..Row::BLANK
    },
    Row {
        name: "rpoplpush",
        arity: 3,
        flags: GROW,
        keys: &[KeySpec::one(1, TAKE), KeySpec::one(2, INSERT)],
        group: Group::List,
        since: "1.2.0",
        deprecated: Some(("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")),
        summary: "Moves the last element of a list to the front of another.",
        complexity: "O(1)",
        args: &[Arg::key("source", 0), Arg::key("destination", 1)],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null]),
        run: Run::Hops {
            here: Some(moves::here::<Rpoplpush>),
            hops: Rpoplpush::HOPS,
            finish: moves::finish::<Rpoplpush>,
        },
        ..Row::BLANK
    },
    Row {
        name: "lmpop",
        arity: -4,
        flags: Flags::WRITE.and(Flags::MOVABLEKEYS),
        keys: &[KeySpec {
            begin: Begin::Index(1),
            find: Find::KeyNum { index: 0, first: 1, step: 1 },
            access: TAKE,
            notes: "",
        }],
        group: Group::List,
        since: "7.0.0",
        summary: "Takes elements from the first of several lists that is not empty.",
        complexity: "O(N+M) with N keys and M elements taken",
        args: &[NUMKEYS, Arg::key("key", 0).multiple(), END, COUNT],
        reply: Shape::Any(&[Shape::Array, Shape::Null]),
        run: pop_first::run::<Counted<List>>(),
        ..Row::BLANK
    },
    Row {
        name: "blpop",
        arity: -3,
        flags: BLOCKING.and(Flags::NOSCRIPT),
        keys: &[KeySpec { find: Find::Range { last: -2, step: 1, limit: 0 }, ..KeySpec::one(1, TAKE) }],
        group: Group::List,
        since: "2.0.0",
        summary: "Takes an element from the front of the first of several lists that has one, or waits until one has.",
        complexity: "O(N) with N keys",
        args: &[Arg::key("key", 0).multiple(), TIMEOUT],
        reply: Shape::Any(&[Shape::Array, Shape::Null]),
        run: pop_first::run::<First<List>>(),
        ..Row::BLANK
    },
    Row {
        name: "brpop",
        arity: -3,
        flags: BLOCKING.and(Flags::NOSCRIPT),
        keys: &[KeySpec { find: Find::Range { last: -2, step: 1, limit: 0 }, ..KeySpec::one(1, TAKE) }],
        group: Group::List,
        since: "2.0.0",
        summary: "Takes an element from the back of the first of several lists that has one, or waits until one has.",
        complexity: "O(N) with N keys",
        args: &[Arg::key("key", 0).multiple(), TIMEOUT],
        reply: Shape::Any(&[Shape::Array, Shape::Null]),
        run: pop_first::run::<Last<List>>(),
        ..Row::BLANK
    },
    Row {
        name: "blmove",
        arity: 6,
        flags: BLOCKING.and(Flags::NOSCRIPT).and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, TAKE), KeySpec::one(2, INSERT)],
        group: Group::List,
        since: "6.2.0",
        summary: "Moves an element from one end of a list to an end of another, or waits until there is one.",
        complexity: "O(1)",
        args: &[Arg::key("source", 0), Arg::key("destination", 1), FROM, TO, TIMEOUT],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null]),
        run: Run::Hops {
            here: Some(moves::here::<Blmove>),
            hops: Blmove::HOPS,
            finish: moves::finish::<Blmove>,
        },
        ..Row::BLANK
    },
    Row {
        name: "blmpop",
        arity: -5,
        flags: BLOCKING.and(Flags::MOVABLEKEYS),
        keys: &[KeySpec {
            begin: Begin::Index(2),
            find: Find::KeyNum { index: 0, first: 1, step: 1 },
            access: TAKE,
            notes: "",
        }],
        group: Group::List,
        since: "7.0.0",
        summary: "Takes elements from the first of several lists that is not empty, or waits until one is.",
        complexity: "O(N+M) with N keys and M elements taken",
        args: &[TIMEOUT, NUMKEYS, Arg::key("key", 0).multiple(), END, COUNT],
        reply: Shape::Any(&[Shape::Array, Shape::Null]),
        run: pop_first::run::<CountedAfterTimeout<List>>(),
        ..Row::BLANK
    },
    Row {
        name: "brpoplpush",
        arity: 4,
        flags: BLOCKING.and(Flags::NOSCRIPT).and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, TAKE), KeySpec::one(2, INSERT)],
        group: Group::List,
        since: "2.2.0",
        deprecated: Some(("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments")),
        summary: "Moves the last element of a list to the front of another, or waits until there is one.",
        complexity: "O(1)",
        args: &[Arg::key("source", 0), Arg::key("destination", 1), TIMEOUT],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null]),
        run: Run::Hops {
            here: Some(moves::here::<Brpoplpush>),
            hops: Brpoplpush::HOPS,
            finish: moves::finish::<Brpoplpush>,
        },
        ..Row::BLANK
    },
    Row {
        name: "lmovem",
        arity: -5,
        flags: GROW,
        keys: &[KeySpec::one(1, TAKE), KeySpec::one(2, INSERT)],
        group: Group::List,
        since: "8.10.0",
        summary: "Moves several elements from one end of a list to an end of another.",
        complexity: "O(N) with N elements moved",
        args: &[Arg::key("source", 0), Arg::key("destination", 1), FROM, TO, MANY],
        reply: Shape::Any(&[Shape::Array, Shape::Null]),
        run: Run::Hops {
            here: Some(moves::here::<Lmovem>),
            hops: Lmovem::HOPS,
            finish: moves::finish::<Lmovem>,
        },
        ..Row::BLANK
    },
    Row {
        name: "blmovem",
        arity: -6,
        flags: BLOCKING.and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, TAKE), KeySpec::one(2, INSERT)],
        group: Group::List,
        since: "8.10.0",
        summary: "Moves several elements from one end of a list to an end of another, or waits until there are enough.",
        complexity: "O(N) with N elements moved",
        args: &[Arg::key("source", 0), Arg::key("destination", 1), FROM, TO, TIMEOUT, MANY],
        reply: Shape::Any(&[Shape::Array, Shape::Null]),
        run: Run::Hops {
            here: Some(moves::here::<Blmovem>),
            hops: Blmovem::HOPS,
            finish: moves::finish::<Blmovem>,
        },
        ..Row::BLANK
    },
];
