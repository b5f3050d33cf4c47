//! Commands about the connection itself.

use super::core::Core;
use super::dispatch::{After, Bound};
use crate::commands::spec::{Arg, ArgKind, Flags, Group, Outcome, Row, Run, Shape};
use crate::commands::{Args, CommandError};
use crate::resp::Reply;
use crate::runtime::face::{ConnId, NetIo};
use crate::types::DbIndex;

/// The rows of the connection family.
pub const ROWS: &[Row] = &[
    Row {
        name: "ping",
        arity: -1,
        flags: Flags::FAST,
        group: Group::Connection,
        since: "1.0.0",
        summary: "Answers PONG, or what it was given.",
        complexity: "O(1)",
        args: &[Arg::new("message", ArgKind::String).optional()],
        reply: Shape::Any(&[Shape::Simple, Shape::Bulk]),
        run: Run::Local(ping),
        ..Row::BLANK
    },
    Row {
        name: "echo",
        arity: 2,
        flags: Flags::FAST,
        group: Group::Connection,
        since: "1.0.0",
        summary: "Answers what it was given.",
        complexity: "O(1)",
        args: &[Arg::new("message", ArgKind::String)],
        reply: Shape::Bulk,
        run: Run::Local(echo),
        ..Row::BLANK
    },
    Row {
        name: "select",
        arity: 2,
        flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
        group: Group::Connection,
        since: "1.0.0",
        summary: "Selects the connection's database.",
        complexity: "O(1)",
        args: &[Arg::new("index", ArgKind::Integer)],
        reply: Shape::Ok,
        ..Row::BLANK
    },
];

/// What the registry binds.
pub const BINDINGS: &[(&str, Bound)] = &[("select", Bound::Here(select))];

fn ping(args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    match args.left() {
        0 => reply.simple("PONG"),
        1 => reply.bulk(args.take()?),
        _ => return Err(CommandError::WrongArity("ping")),
    }
    Ok(Outcome::Done)
}

fn echo(args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    reply.bulk(args.take()?);
    Ok(Outcome::Done)
}

fn select(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let index = args.int().map_err(|_| CommandError::InvalidDbIndex)?;
    if !(0..core.shard.dbs.len() as i64).contains(&index) {
        return Err(CommandError::DbOutOfRange);
    }
    core.clients.at(conn.index).db = DbIndex(index as u16);
    reply.ok();
    Ok(After::Done)
}
