//! The rows of the HyperLogLog family: its table of contents.

use super::{add, count, debug, merge};
use crate::commands::spec::{Access, Arg, ArgKind, Flags, Group, KeySpec, Row, Run, Shape};

const WRITE: Flags = Flags::WRITE.and(Flags::DENYOOM);
const READ_WRITE: Access = Access::RW.and(Access::ACCESS);
const HYPERLOGLOG: &[&str] = &["hyperloglog"];

/// The rows of the HyperLogLog family.
pub const ROWS: &[Row] = &[
    Row {
        name: "pfadd",
        arity: -2,
        flags: WRITE.and(Flags::FAST),
        keys: &[KeySpec::one(1, Access::RW.and(Access::INSERT))],
        acl: HYPERLOGLOG,
        group: Group::HyperLogLog,
        since: "2.8.9",
        summary: "Adds elements to a HyperLogLog, and tells whether its estimate may have changed.",
        complexity: "O(1) to add every element.",
        args: &[Arg::key("key", 0), Arg::new("element", ArgKind::String).optional().multiple()],
        reply: Shape::Int,
        run: Run::OnShard(add::pfadd),
        ..Row::BLANK
    },
    Row {
        name: "pfcount",
        arity: -2,
        flags: Flags::READONLY.and(Flags::MAY_REPLICATE),
        keys: &[KeySpec {
            notes: "RW because the cardinality is cached in the value",
            ..KeySpec::rest(1, 1, READ_WRITE)
        }],
        acl: HYPERLOGLOG,
        group: Group::HyperLogLog,
        since: "2.8.9",
        summary: "Estimates how many different elements were added to one or several HyperLogLogs.",
        complexity: "O(1) with a cached count; O(N) with N keys, each far more work.",
        args: &[Arg::key("key", 0).multiple()],
        reply: Shape::Int,
        run: Run::Hops { here: Some(count::pfcount), hops: count::PFCOUNT, finish: count::finish },
        ..Row::BLANK
    },
    Row {
        name: "pfmerge",
        arity: -2,
        flags: WRITE,
        keys: &[
            KeySpec::one(1, READ_WRITE.and(Access::INSERT)),
            KeySpec::rest(2, 1, Access::RO.and(Access::ACCESS)),
        ],
        acl: HYPERLOGLOG,
        group: Group::HyperLogLog,
        since: "2.8.9",
        summary: "Adds what was added to some HyperLogLogs to another.",
        complexity: "O(N) with N HyperLogLogs, each much work.",
        args: &[Arg::key("destkey", 0), Arg::key("sourcekey", 1).optional().multiple()],
        reply: Shape::Ok,
        run: Run::Hops { here: Some(merge::pfmerge), hops: merge::PFMERGE, finish: merge::finish },
        ..Row::BLANK
    },
    Row {
        name: "pfdebug",
        arity: 3,
        flags: WRITE.and(Flags::ADMIN),
        keys: &[KeySpec::one(2, READ_WRITE)],
        acl: HYPERLOGLOG,
        group: Group::HyperLogLog,
        since: "2.8.9",
        syscmd: true,
        summary: "Looks inside a HyperLogLog, for tests.",
        complexity: "N/A",
        args: &[Arg::new("subcommand", ArgKind::String), Arg::key("key", 0)],
        reply: Shape::Any(&[Shape::Array, Shape::Bulk, Shape::Simple, Shape::Int]),
        run: Run::OnShard(debug::pfdebug),
        ..Row::BLANK
    },
    Row {
        name: "pfselftest",
        arity: 1,
        flags: Flags::ADMIN,
        acl: HYPERLOGLOG,
        group: Group::HyperLogLog,
        since: "2.8.9",
        syscmd: true,
        summary: "Tests the registers and the estimate, for tests.",
        complexity: "N/A",
        reply: Shape::Ok,
        run: Run::Local(debug::pfselftest),
        ..Row::BLANK
    },
];
