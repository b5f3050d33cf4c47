//! SAVE, BGSAVE and LASTSAVE; BGREWRITEAOF and WAITAOF.
//!
//! Both saves are the same snapshot in the background (`shard::snapshot`); SAVE's client waits for its end. Others are
//! served meanwhile, which Redis's SAVE does not do.

use std::sync::atomic::Ordering;

use crate::commands::spec::{Arg, ArgKind, Flags, Group, Row, Shape};
use crate::commands::{Args, CommandError};
use crate::net::Core;
use crate::net::dispatch::{After, Bound, await_token};
use crate::net::durable::{IN_PROGRESS, Job, SWITCHED_OFF};
use crate::persistence::aof::LogMode;
use crate::resp::Reply;
use crate::runtime::face::{ConnId, NetIo};
use crate::server::log;
use crate::types::number::parse_i64;

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
        name: "bgrewriteaof",
        arity: 1,
        flags: ADMIN,
        group: Group::Server,
        summary: "Rewrites the append-only file in the background.",
        complexity: "O(1)",
        reply: Shape::Simple,
        ..Row::BLANK
    },
    Row {
        name: "waitaof",
        arity: 4,
        flags: Flags::NOSCRIPT.and(Flags::BLOCKING),
        acl: &["connection"],
        group: Group::Generic,
        since: "7.2.0",
        summary: "Waits until this connection's writes are synced to disk.",
        complexity: "O(1)",
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        args: &[
            Arg::new("numlocal", ArgKind::Integer),
            Arg::new("numreplicas", ArgKind::Integer),
            Arg::new("timeout", ArgKind::Integer),
        ],
        reply: Shape::Array,
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

pub const BINDINGS: &[(&str, Bound)] = &[
    ("save", Bound::Here(save)),
    ("bgsave", Bound::Here(bgsave)),
    ("bgrewriteaof", Bound::Here(bgrewriteaof)),
    ("waitaof", Bound::Here(waitaof)),
    ("lastsave", Bound::Here(lastsave)),
];

const IN_REWRITE: CommandError =
    CommandError::Line("ERR Background append only file rewriting already in progress");
const REWRITING: CommandError = CommandError::Line(
    "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a \
     BGSAVE whenever possible.",
);

fn save(
    core: &mut Core,
    io: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    _: &mut Reply<'_>,
) -> Result<After, CommandError> {
    args.finish()?;
    let save = match core.start_save(None) {
        Ok(save) => Some(save),
        Err(_) if is_rewriting(core) => None,
        Err(_) => return Err(IN_PROGRESS),
    };
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
    let schedule = args.token("schedule");
    args.finish()?;
    let saving = core.shared.durable.state().saving.clone();
    if saving.as_ref().is_some_and(|save| !save.is_rewrite()) {
        return Err(IN_PROGRESS);
    }
    let client = core.clients.at(conn.index);
    if saving.is_some() && !schedule && !client.in_exec {
        return Err(REWRITING);
    }
    if client.in_exec || saving.is_some() {
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

fn bgrewriteaof(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    const STARTED: &str = "Background append only file rewriting started";
    args.finish()?;
    let saving = core.shared.durable.state().saving.clone();
    if saving.as_ref().is_some_and(|save| save.is_rewrite()) {
        return Err(IN_REWRITE);
    }
    let client = core.clients.at(conn.index);
    let (in_exec, view) = (client.in_exec, client.view());
    let closing = core.shared.durable.aof.state().closing;
    if saving.is_some() || in_exec || closing {
        let mut aof = core.shared.durable.aof.state();
        aof.rewrite_scheduled = true;
        // Redis: who asks for it does not wait for what failed earlier.
        aof.failures_in_a_row = 0;
        reply.simple("Background append only file rewriting scheduled");
        return Ok(After::Done);
    }
    if core.shared.shards == 1 {
        core.start_rewrite(None).map_err(|_| IN_REWRITE)?;
        reply.simple(STARTED);
        return Ok(After::Done);
    }
    let token = await_token(core.clients.at(conn.index), core.me);
    if core.start_rewrite(Some((token, view, STARTED))).is_err() {
        core.jobs.push(Job::Refuse { token });
        core.shared.durable.tell();
    }
    Ok(After::Later)
}

/// WAITAOF: until this connection's writes are on disk. Redis 7.2's.
fn waitaof(
    core: &mut Core,
    io: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let local = args.int()?;
    if !(0..=1).contains(&local) {
        return Err(CommandError::Line("ERR value is out of range, value must between 0 and 1"));
    }
    let replicas = args.int()?;
    if replicas < 0 {
        return Err(CommandError::NotUnsigned);
    }
    let timeout_ms = parse_i64(args.take()?);
    let timeout_ms = timeout_ms.ok_or(CommandError::Line("ERR timeout is not an integer or out of range"))?;
    if timeout_ms < 0 {
        return Err(CommandError::Line("ERR timeout is negative"));
    }
    args.finish()?;
    if local > 0 && core.shared.durable.aof.state().mode == LogMode::Off {
        return Err(SWITCHED_OFF);
    }
    let needs = core.log_needs();
    let synced = i64::from(core.is_synced(&needs));
    if core.clients.at(conn.index).in_exec || (synced >= local && replicas == 0) {
        reply.array(2);
        reply.int(synced);
        reply.int(0);
        return Ok(After::Done);
    }
    let deadline_ns =
        (timeout_ms > 0).then(|| core.now_ns.saturating_add((timeout_ms as u64).saturating_mul(1_000_000)));
    let token = await_token(core.clients.at(conn.index), core.me);
    core.shared.durable.aof.waiters.fetch_add(1, Ordering::SeqCst);
    core.begin_job(io, Job::Synced { token, needs, wanted: (local, replicas), deadline_ns });
    Ok(After::Later)
}

fn is_rewriting(core: &Core) -> bool {
    core.shared.durable.state().saving.as_ref().is_some_and(|save| save.is_rewrite())
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
