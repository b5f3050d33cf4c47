//! INFO.

use crate::commands::spec::{Arg, ArgKind, Flags, Group, Row, Run, Shape};
use crate::commands::{CommandError, Part};
use crate::net::dispatch::{After, Bound};
use crate::net::{Asker, Core, http};
use crate::observe::CoreReport;
use crate::observe::info::{Wanted, text};
use crate::resp::{Argv, Reply};
use crate::runtime::face::{ConnId, ListenerKind, NetIo};

/// The row of INFO.
pub const ROWS: &[Row] = &[Row {
    name: "info",
    arity: -1,
    flags: Flags::LOADING.and(Flags::STALE),
    acl: &["dangerous"],
    group: Group::Server,
    since: "1.0.0",
    summary: "Shows the server's state and statistics.",
    complexity: "O(1)",
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    args: &[Arg::new("section", ArgKind::String).optional().multiple()],
    reply: Shape::Bulk,
    run: Run::Broadcast,
    ..Row::BLANK
}];

/// What the registry binds.
pub const BINDINGS: &[(&str, Bound)] = &[("info", Bound::Broadcast { each, merge })];

fn wanted(argv: Argv<'_>) -> Wanted {
    Wanted::parse(argv.iter().skip(1))
}

fn each(core: &mut Core, _: &mut dyn NetIo, _: Asker, argv: Argv<'_>) -> Result<Part, CommandError> {
    let report = core.report(wanted(argv).commands());
    Ok(Part::Gathered(Box::new(report)))
}

/// The cores' reports out of a broadcast's parts.
pub fn reports(parts: Vec<Part>) -> Vec<CoreReport> {
    gathered(parts)
}

/// What the cores gathered, in their order.
pub fn gathered<T: 'static>(parts: Vec<Part>) -> Vec<T> {
    let one = |part| match part {
        Part::Gathered(one) => one.downcast().ok().map(|one| *one),
        _ => None,
    };
    parts.into_iter().filter_map(one).collect()
}

fn merge(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    argv: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let cores = reports(parts);
    let facts = core.facts(&CoreReport::sum(&cores));
    // The metrics port asks the same and shows it differently.
    if let Some(client) = core.clients.get(conn)
        && client.kind == ListenerKind::Metrics
    {
        let close = http::write_page(client, &facts, &cores, reply);
        return Ok(if close { After::Close } else { After::Done });
    }
    reply.verbatim("txt", text(wanted(argv), &facts, &cores).as_bytes());
    Ok(After::Done)
}
