//! Strings.

use super::args::Args;
use super::context::Ctx;
use super::error::CommandError;
use super::spec::{Access, Arg, ArgKind, Flags, Group, KeySpec, Merge, Outcome, Row, Run, Shape};
use crate::resp::{Argv, Reply};
use crate::shard::{Event, NewValue, ValueView};
use crate::types::Value;
use crate::types::number::parse_i64;
use crate::types::raw::table::Ttl;

const READ: Access = Access::RO.and(Access::ACCESS);

/// The rows of the string family.
pub const ROWS: &[Row] = &[
    Row {
        name: "get",
        arity: 2,
        flags: Flags::READONLY.and(Flags::FAST),
        keys: &[KeySpec::one(1, READ)],
        group: Group::String,
        since: "1.0.0",
        summary: "Reads the string under a key.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0)],
        reply: Shape::Any(&[Shape::Bulk, Shape::Null]),
        run: Run::OnShard(get),
        ..Row::BLANK
    },
    Row {
        name: "set",
        arity: -3,
        flags: Flags::WRITE.and(Flags::DENYOOM),
        keys: &[KeySpec::one(1, Access::OW.and(Access::UPDATE))],
        group: Group::String,
        since: "1.0.0",
        summary: "Stores a string under a key, whatever it held.",
        complexity: "O(1)",
        args: &[Arg::key("key", 0), Arg::new("value", ArgKind::String)],
        reply: Shape::Any(&[Shape::Ok, Shape::Bulk, Shape::Null]),
        run: Run::OnShard(set),
        ..Row::BLANK
    },
    Row {
        name: "mget",
        arity: -2,
        flags: Flags::READONLY.and(Flags::FAST),
        keys: &[KeySpec::rest(1, 1, READ)],
        group: Group::String,
        since: "1.0.0",
        summary: "Reads the strings under several keys.",
        complexity: "O(N) with N keys",
        tips: &["request_policy:multi_shard"],
        args: &[Arg::key("key", 0).multiple()],
        reply: Shape::Array,
        run: Run::PerKey { each: mget_one, stride: 1, merge: Merge::Elements },
        ..Row::BLANK
    },
    Row {
        name: "mset",
        arity: -3,
        flags: Flags::WRITE.and(Flags::DENYOOM),
        keys: &[KeySpec::rest(1, 2, Access::OW.and(Access::UPDATE))],
        group: Group::String,
        since: "1.0.1",
        summary: "Stores strings under several keys at once.",
        complexity: "O(N) with N keys",
        tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
        args: &[Arg::new("data", ArgKind::Block(&[Arg::key("key", 0), Arg::new("value", ArgKind::String)])).multiple()],
        reply: Shape::Ok,
        run: Run::PerKey { each: mset_one, stride: 2, merge: Merge::Ok },
        ..Row::BLANK
    },
];

/// The shortest way to hold these bytes: as an integer when they are one.
pub fn compact(bytes: &[u8]) -> NewValue<'_> {
    if bytes.len() <= 20
        && let Some(value) = parse_i64(bytes)
    {
        return NewValue::Int(value);
    }
    NewValue::Bytes(bytes)
}

/// Writes a string value as a bulk; big ones are referred to, not copied.
pub fn reply_string(value: ValueView<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    match value {
        ValueView::Int(value) => reply.bulk_int(value),
        ValueView::Bytes(bytes) => reply.bulk(bytes),
        ValueView::Heap(Value::String(bytes)) => reply.bulk_shared(bytes, 0..bytes.len()),
    }
    Ok(())
}

fn get(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    match ctx.keys().read(args.take()?) {
        Some(entry) => reply_string(entry.value(), reply)?,
        None => reply.null(),
    }
    Ok(Outcome::Done)
}

fn set(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, value) = (args.take()?, args.take()?);
    args.finish()?;
    ctx.keys().set(key, compact(value), Ttl::Clear, Event::SET);
    reply.ok();
    Ok(Outcome::Done)
}

fn mget_one(ctx: &mut Ctx<'_>, piece: Argv<'_>, reply: &mut Reply<'_>) -> Result<i64, CommandError> {
    match ctx.keys().read(piece.get(0)) {
        Some(entry) => reply_string(entry.value(), reply)?,
        None => reply.null(),
    }
    Ok(0)
}

fn mset_one(ctx: &mut Ctx<'_>, piece: Argv<'_>, _: &mut Reply<'_>) -> Result<i64, CommandError> {
    ctx.keys().set(piece.get(0), compact(piece.get(1)), Ttl::Clear, Event::SET);
    Ok(0)
}
