//! SHUTDOWN.

use std::sync::atomic::Ordering;

use crate::commands::spec::{Arg, ArgKind, Flags, Group, Row, Shape};
use crate::commands::{Args, CommandError};
use crate::net::Core;
use crate::net::busy::busy_error;
use crate::net::dispatch::{After, Bound, await_token};
use crate::net::durable::ShutdownOptions;
use crate::resp::Reply;
use crate::runtime::face::{ConnId, NetIo};
use crate::server::log;

const SAVING: &[Arg] = &[Arg::word("nosave", "NOSAVE"), Arg::word("save", "SAVE")];

pub const ROWS: &[Row] = &[Row {
    name: "shutdown",
    arity: -1,
    flags: Flags::ADMIN
        .and(Flags::NOSCRIPT)
        .and(Flags::LOADING)
        .and(Flags::STALE)
        .and(Flags::NO_MULTI)
        .and(Flags::ALLOW_BUSY),
    group: Group::Server,
    summary: "Ends the server.",
    complexity: "O(N) with N keys when saving, else O(1)",
    args: &[
        Arg::new("nosave_save", ArgKind::OneOf(SAVING)).optional(),
        Arg::word("now", "NOW").optional().since("7.0.0"),
        Arg::word("force", "FORCE").optional().since("7.0.0"),
        Arg::word("abort", "ABORT").optional().since("7.0.0"),
    ],
    reply: Shape::Nothing,
    ..Row::BLANK
}];

pub const BINDINGS: &[(&str, Bound)] = &[("shutdown", Bound::Here(shutdown))];

fn shutdown(
    core: &mut Core,
    io: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let (mut save, mut nosave, mut force, mut now, mut abort) = (false, false, false, false, false);
    while !args.is_done() {
        let known = [
            ("nosave", &mut nosave),
            ("save", &mut save),
            ("now", &mut now),
            ("force", &mut force),
            ("abort", &mut abort),
        ];
        let found = known.into_iter().find_map(|(word, flag)| args.token(word).then_some(flag));
        *found.ok_or(CommandError::Syntax)? = true;
    }
    if (abort && (save || nosave || force || now)) || (save && nosave) {
        return Err(CommandError::Syntax);
    }
    if abort {
        let durable = &core.shared.durable;
        if !durable.stopping.load(Ordering::Acquire) {
            return Err(CommandError::Line("ERR No shutdown in progress."));
        }
        durable.abort_asked.store(true, Ordering::Release);
        durable.tell();
        reply.ok();
        return Ok(After::Done);
    }
    if !nosave && let Some(busy) = core.busy_somewhere() {
        // Redis: what a script has half done is not saved.
        return Err(busy_error(busy.is_function));
    }
    log::warning("User requested shutdown...");
    // Without replicas there is nobody to wait for, so NOW changes nothing.
    let token = await_token(core.clients.at(conn.index), core.me);
    core.shut_down(io, Some(token), ShutdownOptions { save, nosave, force });
    Ok(After::Later)
}
