//! MEMORY: what a key takes and what the process takes.

use super::info::reports;
use super::merge_ok;
use crate::commands::context::Ctx;
use crate::commands::spec::{Access, Arg, ArgKind, Flags, Group, KeySpec, Outcome, Row, Run, Shape};
use crate::commands::{Args, CommandError, Part};
use crate::net::dispatch::{After, Bound};
use crate::net::{Asker, Core};
use crate::observe::CoreReport;
use crate::observe::memory::doctor;
use crate::resp::{Argv, Reply};
use crate::runtime::face::{ConnId, NetIo};

const SUB: Row = Row {
    group: Group::Server,
    since: "4.0.0",
    complexity: "O(1)",
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    run: Run::Broadcast,
    ..Row::BLANK
};

/// The rows of MEMORY.
pub const ROWS: &[Row] = &[Row {
    name: "memory",
    arity: -2,
    group: Group::Server,
    since: "4.0.0",
    summary: "Container of the memory commands.",
    complexity: "Depends on the subcommand.",
    run: Run::Container,
    subcommands: &[
        Row {
            name: "doctor",
            arity: 2,
            summary: "Judges the use of memory in words.",
            reply: Shape::Bulk,
            ..SUB
        },
        Row {
            name: "help",
            arity: 2,
            flags: Flags::LOADING.and(Flags::STALE),
            summary: "Lists the subcommands.",
            tips: &[],
            reply: Shape::Array,
            run: Run::Local(help),
            ..SUB
        },
        Row {
            name: "malloc-stats",
            arity: 2,
            summary: "Shows the allocator's statistics.",
            complexity: "Depends on how much memory is allocated.",
            reply: Shape::Bulk,
            ..SUB
        },
        Row {
            name: "purge",
            arity: 2,
            summary: "Has the allocator give unused pages back.",
            complexity: "Depends on how much memory is allocated.",
            tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
            reply: Shape::Ok,
            ..SUB
        },
        Row { name: "stats", arity: 2, summary: "Shows where memory goes.", reply: Shape::Map, ..SUB },
        Row {
            name: "usage",
            arity: -3,
            flags: Flags::READONLY,
            keys: &[KeySpec::one(2, Access::RO)],
            summary: "Tells the bytes a key and its value take.",
            complexity: "O(1)",
            tips: &[],
            args: &[Arg::key("key", 0), Arg::new("count", ArgKind::Integer).token("SAMPLES").optional()],
            reply: Shape::Any(&[Shape::Int, Shape::Null]),
            run: Run::OnShard(usage),
            ..SUB
        },
    ],
    ..Row::BLANK
}];

/// What the registry binds.
pub const BINDINGS: &[(&str, Bound)] = &[
    ("memory|doctor", Bound::Broadcast { each: each_report, merge: merge_doctor }),
    ("memory|malloc-stats", Bound::Broadcast { each: each_report, merge: merge_malloc_stats }),
    ("memory|purge", Bound::Broadcast { each: each_purge, merge: merge_ok }),
    ("memory|stats", Bound::Broadcast { each: each_report, merge: merge_stats }),
];

fn usage(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    while !args.is_done() {
        // Values know their size: there is nothing to sample, but the count is checked as ever.
        if !args.token("SAMPLES") || args.is_done() || args.int()? < 0 {
            return Err(CommandError::Syntax);
        }
    }
    match ctx.shard.memory_usage_of(ctx.db, key) {
        Some(bytes) => reply.int(bytes as i64),
        None => reply.null(),
    }
    Ok(Outcome::Done)
}

fn each_report(core: &mut Core, _: &mut dyn NetIo, _: Asker, _: Argv<'_>) -> Result<Part, CommandError> {
    Ok(Part::Gathered(Box::new(core.report(false))))
}

fn merge_doctor(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let total = CoreReport::sum(&reports(parts));
    let memory = core.facts(&total).memory;
    reply.verbatim("txt", doctor(&memory, &total).as_bytes());
    Ok(After::Done)
}

fn merge_malloc_stats(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let cores = reports(parts);
    let memory = core.facts(&CoreReport::sum(&cores)).memory;
    let mut text = format!("mimalloc: {} bytes resident, {} bytes accounted\n", memory.rss, memory.used);
    text.push_str(&crate::sys::memory::allocator_stats());
    for core in &cores {
        text.push_str(&format!(
            "shard {}: {} bytes of keyspace, {} bytes of clients\n",
            core.core, core.keyspace_bytes, core.client_bytes
        ));
    }
    reply.verbatim("txt", text.as_bytes());
    Ok(After::Done)
}

fn each_purge(_: &mut Core, _: &mut dyn NetIo, _: Asker, _: Argv<'_>) -> Result<Part, CommandError> {
    // A thread can give back only its own heap's pages: hence every core.
    crate::sys::memory::purge();
    Ok(Part::Nothing)
}

/// One value of MEMORY STATS.
enum Fact {
    Int(u64),
    Ratio(f64),
}

fn merge_stats(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    use Fact::{Int, Ratio};
    let total = CoreReport::sum(&reports(parts));
    let facts = core.facts(&total);
    let (memory, scripts) = (facts.memory, facts.scripts);
    let keys = total.keys_count();
    let net = memory.used;
    let percent = |part: u64, whole: u64| Ratio((part as f64 * 100.0 / whole.max(1) as f64).min(100.0));
    let over = memory.rss.saturating_sub(memory.used);
    let ratio = memory.rss as f64 / memory.used.max(1) as f64;
    let before = [
        ("peak.allocated", Int(memory.peak)),
        ("total.allocated", Int(memory.used)),
        ("startup.allocated", Int(0)),
        ("replication.backlog", Int(0)),
        ("clients.slaves", Int(0)),
        ("clients.normal", Int(total.client_bytes)),
        ("cluster.links", Int(0)),
        ("aof.buffer", Int(core.shared.durable.aof.pending_bytes())),
        ("lua.caches", Int(scripts.script_bytes as u64)),
        ("functions.caches", Int(scripts.library_bytes as u64)),
    ];
    let after = [
        ("overhead.total", Int(memory.overhead)),
        ("keys.count", Int(keys)),
        ("keys.bytes-per-key", Int(net / keys.max(1) * u64::from(keys > 0))),
        ("dataset.bytes", Int(memory.dataset)),
        ("dataset.percentage", percent(memory.dataset, net)),
        ("peak.percentage", percent(memory.used, memory.peak)),
        ("allocator.allocated", Int(memory.used)),
        ("allocator.active", Int(memory.rss)),
        ("allocator.resident", Int(memory.rss)),
        ("allocator-fragmentation.ratio", Ratio(ratio)),
        ("allocator-fragmentation.bytes", Int(over)),
        ("allocator-rss.ratio", Ratio(1.0)),
        ("allocator-rss.bytes", Int(0)),
        ("rss-overhead.ratio", Ratio(1.0)),
        ("rss-overhead.bytes", Int(0)),
        ("fragmentation", Ratio(ratio)),
        ("fragmentation.bytes", Int(over)),
    ];
    let dbs: Vec<_> = total.dbs.iter().enumerate().filter(|(_, db)| db.keys > 0).collect();
    let write = |reply: &mut Reply<'_>, facts: &[(&str, Fact)]| {
        for (name, fact) in facts {
            reply.bulk(name.as_bytes());
            match fact {
                Int(value) => reply.int(*value as i64),
                Ratio(value) => reply.double(*value),
            }
        }
    };
    reply.map(before.len() + dbs.len() + after.len());
    write(reply, &before);
    for (index, db) in dbs {
        reply.bulk(format!("db.{index}").as_bytes());
        reply.map(3);
        // One table holds keys, deadlines and slots.
        let parts = [
            ("overhead.hashtable.main", Int(db.overhead_bytes)),
            ("overhead.hashtable.expires", Int(0)),
            ("overhead.hashtable.slot-to-keys", Int(0)),
        ];
        write(reply, &parts);
    }
    write(reply, &after);
    Ok(After::Done)
}

fn help(_: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let lines = [
        "DOCTOR",
        "    What is wrong with the use of memory, in words.",
        "MALLOC-STATS",
        "    What the allocator says.",
        "PURGE",
        "    Give unused pages back to the system.",
        "STATS",
        "    Where memory goes.",
        "USAGE <key> [SAMPLES <count>]",
        "    The bytes that a key and its value take. The count is accepted; sizes are",
        "    known without sampling.",
    ];
    super::help::write("MEMORY", &lines, reply);
    Ok(Outcome::Done)
}
