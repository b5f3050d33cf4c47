//! LATENCY: events that took long, and how long commands take, over all cores.

use super::info::{gathered, reports};
use crate::commands::spec::{Arg, ArgKind, Flags, Group, Outcome, Row, Run, Shape};
use crate::commands::{Args, CommandError, Part};
use crate::config::id;
use crate::net::dispatch::{After, Bound};
use crate::net::{Asker, Core};
use crate::observe::CoreReport;
use crate::observe::latency::{Events, cumulative, doctor, graph};
use crate::resp::{Argv, Reply};
use crate::runtime::face::{ConnId, NetIo};

const SUB: Row = Row {
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE),
    group: Group::Server,
    since: "2.8.13",
    complexity: "O(1)",
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
    run: Run::Broadcast,
    ..Row::BLANK
};

const EVENT: Arg = Arg::new("event", ArgKind::String);

/// The rows of LATENCY.
pub const ROWS: &[Row] = &[Row {
    name: "latency",
    arity: -2,
    group: Group::Server,
    since: "2.8.13",
    summary: "Container of the latency commands.",
    complexity: "Depends on the subcommand.",
    run: Run::Container,
    subcommands: &[
        Row {
            name: "doctor",
            arity: 2,
            summary: "Judges the recorded latencies in words.",
            reply: Shape::Bulk,
            ..SUB
        },
        Row {
            name: "graph",
            arity: 3,
            summary: "Draws an event's latencies.",
            args: &[EVENT],
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
            name: "histogram",
            arity: -2,
            since: "7.0.0",
            summary: "Shows how many calls of commands took how long.",
            complexity: "O(N) with N commands shown",
            args: &[Arg::new("command", ArgKind::String).optional().multiple()],
            reply: Shape::Map,
            ..SUB
        },
        Row {
            name: "history",
            arity: 3,
            summary: "Shows an event's latencies.",
            args: &[EVENT],
            reply: Shape::Array,
            ..SUB
        },
        Row {
            name: "latest",
            arity: 2,
            summary: "Shows every event's last and greatest latency.",
            reply: Shape::Array,
            ..SUB
        },
        Row {
            name: "reset",
            arity: -2,
            summary: "Forgets the latencies of events.",
            tips: &["request_policy:all_nodes", "response_policy:agg_sum"],
            args: &[EVENT.optional().multiple()],
            reply: Shape::Int,
            ..SUB
        },
    ],
    ..Row::BLANK
}];

/// What the registry binds.
pub const BINDINGS: &[(&str, Bound)] = &[
    ("latency|doctor", Bound::Broadcast { each: each_events, merge: merge_doctor }),
    ("latency|graph", Bound::Broadcast { each: each_events, merge: merge_graph }),
    ("latency|histogram", Bound::Broadcast { each: each_histogram, merge: merge_histogram }),
    ("latency|history", Bound::Broadcast { each: each_events, merge: merge_history }),
    ("latency|latest", Bound::Broadcast { each: each_events, merge: merge_latest }),
    ("latency|reset", Bound::Broadcast { each: each_reset, merge: merge_reset }),
];

fn each_events(core: &mut Core, _: &mut dyn NetIo, _: Asker, _: Argv<'_>) -> Result<Part, CommandError> {
    Ok(Part::Gathered(Box::new(core.observe.latency.clone())))
}

fn all_events(core: &Core, parts: Vec<Part>) -> Events {
    let mut all = Events::default();
    all.threshold_ms = core.config.integer(id::LATENCY_MONITOR_THRESHOLD) as u64;
    gathered::<Events>(parts).iter().for_each(|events| all.absorb(events));
    all
}

fn merge_doctor(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    reply.verbatim("txt", doctor(&all_events(core, parts)).as_bytes());
    Ok(After::Done)
}

fn merge_graph(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    argv: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let events = all_events(core, parts);
    let name = argv.get(2);
    let Some((known, series)) = events.find(name) else {
        let name = String::from_utf8_lossy(&name[..name.len().min(128)]);
        return Err(CommandError::text(format!("ERR No samples available for event '{name}'")));
    };
    reply.verbatim("txt", graph(known, series, core.now_ms / 1000).as_bytes());
    Ok(After::Done)
}

fn merge_history(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    argv: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let events = all_events(core, parts);
    let samples = events.find(argv.get(2)).map_or(&[][..], |(_, series)| &series.samples);
    reply.array(samples.len());
    for sample in samples {
        reply.array(2);
        reply.int(sample.at_s as i64);
        reply.int(sample.ms as i64);
    }
    Ok(After::Done)
}

fn merge_latest(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let events = all_events(core, parts);
    reply.array(events.iter().count());
    for (name, series) in events.iter() {
        let last = series.samples.last().expect("an event begins with a sample");
        reply.array(4);
        reply.bulk(name.as_bytes());
        reply.int(last.at_s as i64);
        reply.int(last.ms as i64);
        reply.int(series.max_ms as i64);
    }
    Ok(After::Done)
}

fn each_reset(core: &mut Core, _: &mut dyn NetIo, _: Asker, argv: Argv<'_>) -> Result<Part, CommandError> {
    let names: Vec<&[u8]> = argv.iter().skip(2).collect();
    Ok(Part::Gathered(Box::new(core.observe.latency.reset(&names))))
}

fn merge_reset(
    _: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let mut gone: Vec<&'static str> = gathered::<Vec<&'static str>>(parts).into_iter().flatten().collect();
    gone.sort_unstable();
    gone.dedup();
    reply.int(gone.len() as i64);
    Ok(After::Done)
}

fn each_histogram(core: &mut Core, _: &mut dyn NetIo, _: Asker, _: Argv<'_>) -> Result<Part, CommandError> {
    Ok(Part::Gathered(Box::new(core.report(true))))
}

fn merge_histogram(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    argv: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let total = CoreReport::sum(&reports(parts));
    // A name stands for the command and its subcommands; unknown ones for nothing.
    let mut names: Vec<&'static str> = Vec::new();
    for name in argv.iter().skip(2) {
        let Some(row) = core.table.find_full(name) else { continue };
        let entry = core.table.entry(row);
        names.push(entry.full_name);
        names.extend(entry.children.iter().map(|child| core.table.entry(*child).full_name));
    }
    if argv.len() == 2 {
        names = total.by_command.keys().copied().collect();
    }
    let histogram = |name: &&'static str| Some((*name, total.by_command.get(name)?.histogram.as_deref()?));
    let shown: Vec<_> = names.iter().filter_map(histogram).collect();
    reply.map(shown.len());
    for (name, histogram) in shown {
        reply.bulk(name.as_bytes());
        reply.map(2);
        reply.bulk(b"calls");
        reply.int(histogram.len() as i64);
        reply.bulk(b"histogram_usec");
        let steps = cumulative(histogram);
        reply.map(steps.len());
        for (us, count) in steps {
            reply.int(us as i64);
            reply.int(count as i64);
        }
    }
    Ok(After::Done)
}

fn help(_: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let lines = [
        "DOCTOR",
        "    What the recorded latencies mean, in words.",
        "GRAPH <event>",
        "    A drawing of the event's latencies.",
        "HISTORY <event>",
        "    Times and latencies of the event.",
        "LATEST",
        "    Every event's last and greatest latency.",
        "RESET [<event> ...]",
        "    Forget the latencies of events; of all events when none is named.",
        "HISTOGRAM [COMMAND ...]",
        "    How many calls took how long, for the commands that are named or for all.",
    ];
    super::help::write("LATENCY", &lines, reply);
    Ok(Outcome::Done)
}
