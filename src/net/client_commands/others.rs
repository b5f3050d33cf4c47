//! CLIENT LIST, KILL and UNBLOCK: a connection about all connections.
//!
//! Every core tells about its clients, the one that asks left out; that one is looked at last, on its own core,
//! because it lives on until it has its reply.

use super::filter::{Asked, Filter, in_order};
use crate::commands::{Args, CommandError, Part};
use crate::net::batch::Asker;
use crate::net::blocked::EndOfWait;
use crate::net::core::Core;
use crate::net::dispatch::After;
use crate::net::info::{Line, Running};
use crate::resp::{Argv, Reply};
use crate::runtime::face::{ConnId, NetIo};
use crate::tx::message::Token;

fn list_filter(core: &Core, argv: Argv<'_>) -> Result<Filter, CommandError> {
    Filter::parse(&mut Args::new(argv, 2), core.shard.dbs.len(), Asked::List)
}

fn kill_filter(core: &Core, argv: Argv<'_>) -> Result<Filter, CommandError> {
    match argv.len() {
        3 => Ok(Filter::addr(argv.get(2))),
        _ => Filter::parse(&mut Args::new(argv, 2), core.shard.dbs.len(), Asked::Kill),
    }
}

pub fn list_each(
    core: &mut Core,
    _: &mut dyn NetIo,
    asker: Asker,
    argv: Argv<'_>,
) -> Result<Part, CommandError> {
    let filter = list_filter(core, argv)?;
    let (now_ms, index, table) = (core.now_ms, core.me.index(), core.table);
    let mut lines = Vec::new();
    for client in core.clients.iter() {
        if client.id != asker.client && client.kind.is_for_clients() && filter.passes(client, now_ms) {
            let mut line = Line { client, table, now_ms, core: index, running: None }.to_bytes();
            line.push(b'\n');
            lines.push((client.id, line));
        }
    }
    Ok(Part::Lines(lines))
}

pub fn list_merge(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    argv: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let filter = list_filter(core, argv)?;
    let mut lines = Vec::new();
    for part in parts {
        let Part::Lines(more) = part else { unreachable!("list_each returns lines") };
        lines.extend(more);
    }
    let (now_ms, index, table) = (core.now_ms, core.me.index(), core.table);
    let client = &*core.clients.at(conn.index);
    if !filter.skips_asker(false) && filter.passes(client, now_ms) {
        let mut line =
            Line { client, table, now_ms, core: index, running: Some(Running::of(argv)) }.to_bytes();
        line.push(b'\n');
        lines.push((client.id, line));
    }
    reply.verbatim("txt", &in_order(lines, filter.only_ids()));
    Ok(After::Done)
}

pub fn kill_each(
    core: &mut Core,
    io: &mut dyn NetIo,
    asker: Asker,
    argv: Argv<'_>,
) -> Result<Part, CommandError> {
    let filter = kill_filter(core, argv)?;
    let now_ms = core.now_ms;
    let meant = core.clients.iter().filter(|client| {
        client.id != asker.client && client.kind.is_for_clients() && filter.passes(client, now_ms)
    });
    let meant: Vec<ConnId> = meant.map(|client| client.conn).collect();
    for conn in &meant {
        core.kill(io, *conn);
    }
    Ok(Part::Int(meant.len() as i64))
}

pub fn kill_merge(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    argv: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let filter = kill_filter(core, argv)?;
    let mut killed = 0;
    for part in parts {
        let Part::Int(some) = part else { unreachable!("kill_each returns how many") };
        killed += some;
    }
    let now_ms = core.now_ms;
    let suicide = !filter.skips_asker(true) && filter.passes(core.clients.at(conn.index), now_ms);
    killed += i64::from(suicide);
    // The old form, with an address only, answers as it always did.
    match (argv.len(), killed) {
        (3, 0) => return Err(CommandError::Line("ERR No such client")),
        (3, _) => reply.ok(),
        _ => reply.int(killed),
    }
    Ok(if suicide { After::Close } else { After::Done })
}

/// Redis: a client that waits for CLIENT PAUSE to end is not blocked in this sense.
pub fn unblock_each(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: Asker,
    argv: Argv<'_>,
) -> Result<Part, CommandError> {
    let (id, how) = unblock_of(argv)?;
    let waits = core.clients.iter().find(|client| client.id.0 as i64 == id && client.blocked);
    let Some((conn, seq)) = waits.and_then(|client| Some((client.conn, client.awaited()?))) else {
        return Ok(Part::Int(0));
    };
    let token = Token { index: conn.index, generation: conn.generation, seq };
    core.end_waits(token, how);
    Ok(Part::Int(1))
}

fn unblock_of(argv: Argv<'_>) -> Result<(i64, EndOfWait), CommandError> {
    let mut args = Args::new(argv, 2);
    let id = args.int();
    if args.left() > 1 {
        return Err(super::too_many_words(argv));
    }
    let how = match args.is_done() || args.token("timeout") {
        true => EndOfWait::Timeout,
        false if args.token("error") => EndOfWait::Error,
        false => return Err(CommandError::Line("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
    };
    Ok((id?, how))
}

pub fn unblock_merge(
    _: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    reply.int(parts.iter().map(|part| if let Part::Int(some) = part { *some } else { 0 }).sum());
    Ok(After::Done)
}
