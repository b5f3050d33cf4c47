//! SAVE, BGSAVE and LASTSAVE.
//!
//! Both saves are the same snapshot in the background (`shard::snapshot`); SAVE's client waits for its end. Others are
//! served meanwhile, which Redis's SAVE does not do.

use crate::commands::spec::{Arg, Flags, Group, Row, Shape};
use crate::commands::{Args, CommandError};
use crate::net::Core;
use crate::net::dispatch::{After, Bound, await_token};
use crate::net::durable::{IN_PROGRESS, Job};
use crate::resp::Reply;
use crate::runtime::face::{ConnId, NetIo};
use crate::server::log;

const ADMIN: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_ASYNC_LOADING);

pub const ROWS: &[Row] = &[
    Row {
        name: "save",
        arity: 1,
        flags: ADMIN.and(Flags::NO_MULTI),
        group: Group::Server,
        summary: "Writes a snapshot to disk and waits for it.",
        complexity: "O(N) with N keys",
        reply: Shape::Ok,
        ..Row::BLANK
    },
    Row {
        name: "bgsave",
        arity: -1,
        flags: ADMIN,
        group: Group::Server,
        summary: "Writes a snapshot to disk in the background.",
        complexity: "O(1)",
        args: &[Arg::word("schedule", "SCHEDULE").optional().since("3.2.2")],
        reply: Shape::Simple,
        ..Row::BLANK
    },
    Row {
        name: "lastsave",
        arity: 1,
        flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
        acl: &["admin", "dangerous"],
        group: Group::Server,
        summary: "Tells when a snapshot was last written, in seconds since the epoch.",
        complexity: "O(1)",
        tips: &["nondeterministic_output"],
        reply: Shape::Int,
        ..Row::BLANK
    },
];

pub const BINDINGS: &[(&str, Bound)] =
    &[("save", Bound::Here(save)), ("bgsave", Bound::Here(bgsave)), ("lastsave", Bound::Here(lastsave))];

fn save(
    core: &mut Core,
    io: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    _: &mut Reply<'_>,
) -> Result<After, CommandError> {
    args.finish()?;
    let save = core.start_save(None).map_err(|_| IN_PROGRESS)?;
    let token = await_token(core.clients.at(conn.index), core.me);
    core.begin_job(io, Job::Save { token, save });
    Ok(After::Later)
}

fn bgsave(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    const STARTED: &str = "Background saving started";
    args.token("schedule");
    args.finish()?;
    if core.shared.durable.state().saving.is_some() {
        return Err(IN_PROGRESS);
    }
    let client = core.clients.at(conn.index);
    if client.in_exec {
        // Redis: a block is not held up by a save.
        core.shared.durable.state().scheduled = true;
        reply.simple("Background saving scheduled");
        return Ok(After::Done);
    }
    if core.shared.shards == 1 {
        core.start_save(None).map_err(|_| IN_PROGRESS)?;
        log::notice(STARTED);
        reply.simple(STARTED);
        return Ok(After::Done);
    }
    let view = client.view();
    let token = await_token(client, core.me);
    if core.start_save(Some((token, view, STARTED))).is_err() {
        // Somebody on another core was faster by a hair: the reply has its place already.
        core.jobs.push(Job::Refuse { token });
        core.shared.durable.tell();
    } else {
        log::notice(STARTED);
    }
    Ok(After::Later)
}

fn lastsave(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    args.finish()?;
    reply.int(core.shared.durable.state().last_save_s as i64);
    Ok(After::Done)
}
