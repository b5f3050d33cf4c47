//! MONITOR: the connection is shown every command that runs. What it is shown is fed by `net`.

use std::sync::atomic::Ordering;

use crate::commands::spec::{Flags, Group, Row, Shape};
use crate::commands::{Args, CommandError};
use crate::net::Core;
use crate::net::dispatch::{After, Bound};
use crate::resp::Reply;
use crate::runtime::face::{ConnId, NetIo};

/// The row of MONITOR.
pub const ROWS: &[Row] = &[Row {
    name: "monitor",
    arity: 1,
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE),
    group: Group::Server,
    since: "1.0.0",
    summary: "Shows every command that the server runs, as it runs.",
    complexity: "O(1); every command then costs O(N) more with N monitors",
    reply: Shape::Ok,
    ..Row::BLANK
}];

/// What the registry binds.
pub const BINDINGS: &[(&str, Bound)] = &[("monitor", Bound::Here(monitor))];

fn monitor(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    _: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let client = core.clients.at(conn.index);
    if client.in_exec {
        return Err(CommandError::Line("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    // Redis: a second MONITOR gets no answer.
    if !std::mem::replace(&mut client.monitor, true) {
        core.shared.monitors[core.me.index()].fetch_add(1, Ordering::Relaxed);
        core.shared.monitor_count.fetch_add(1, Ordering::Relaxed);
        reply.ok();
    }
    Ok(After::Done)
}
