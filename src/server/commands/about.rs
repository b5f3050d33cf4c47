//! TIME, ROLE and WAIT: small questions about the server.

use crate::commands::spec::{Arg, ArgKind, Flags, Group, Outcome, Row, Run, Shape};
use crate::commands::{Args, CommandError};
use crate::resp::Reply;
use crate::sys::clock;
use crate::types::number::parse_i64;

pub const ROWS: &[Row] = &[
    Row {
        name: "time",
        flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
        group: Group::Server,
        since: "2.6.0",
        summary: "Tells the server's time in seconds and microseconds since 1970.",
        complexity: "O(1)",
        tips: &["nondeterministic_output"],
        reply: Shape::Array,
        run: Run::Local(time),
        ..Row::BLANK
    },
    Row {
        name: "role",
        flags: Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE).and(Flags::FAST),
        acl: &["admin", "dangerous"],
        group: Group::Server,
        since: "2.8.12",
        summary: "Tells whether this is a primary or a replica, and of whom.",
        complexity: "O(1)",
        reply: Shape::Array,
        run: Run::Local(role),
        ..Row::BLANK
    },
    Row {
        name: "wait",
        arity: 3,
        flags: Flags::NOSCRIPT,
        acl: &["connection"],
        group: Group::Generic,
        since: "3.0.0",
        summary: "Waits until replicas have this connection's writes; there are none, so it answers 0 at once.",
        complexity: "O(1)",
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        args: &[Arg::new("numreplicas", ArgKind::Integer), Arg::new("timeout", ArgKind::Integer)],
        reply: Shape::Int,
        run: Run::Local(wait),
        ..Row::BLANK
    },
];

type Done = Result<Outcome, CommandError>;

fn time(_: &mut Args<'_>, reply: &mut Reply<'_>) -> Done {
    let now_us = clock::realtime_us();
    reply.array(2);
    reply.bulk_int((now_us / 1_000_000) as i64);
    reply.bulk_int((now_us % 1_000_000) as i64);
    Ok(Outcome::Done)
}

fn role(_: &mut Args<'_>, reply: &mut Reply<'_>) -> Done {
    reply.array(3);
    reply.bulk(b"master");
    reply.int(0);
    reply.array(0);
    Ok(Outcome::Done)
}

/// Nothing replicates yet, so no replica can ever acknowledge: waiting out the timeout would change nothing.
fn wait(args: &mut Args<'_>, reply: &mut Reply<'_>) -> Done {
    args.int()?;
    let timeout_ms = parse_i64(args.take()?);
    match timeout_ms.ok_or(CommandError::Line("ERR timeout is not an integer or out of range"))? {
        ..0 => Err(CommandError::Line("ERR timeout is negative")),
        _ => {
            reply.int(0);
            Ok(Outcome::Done)
        }
    }
}
