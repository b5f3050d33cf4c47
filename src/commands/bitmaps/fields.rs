//! Integers of any width: BITFIELD, BITFIELD_RO.

use smallvec::SmallVec;
use std::sync::Arc;

use super::{BAD_OFFSET, grown, in_reach, offset};
use crate::commands::spec::Access;
use crate::commands::strings::bytes_of;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::{Argv, Reply};
use crate::shard::{Event, NewValue};
use crate::types::Value;
use crate::types::bitfield::{FieldType, Overflow};
use crate::types::number::parse_i64;
use crate::types::raw::table::Ttl;

/// What is done with one field.
#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64),
    IncrBy(i64),
}

#[derive(Clone, Copy)]
struct Step {
    field: FieldType,
    offset: u64,
    action: Action,
    overflow: Overflow,
}

type Steps = SmallVec<[Step; 4]>;

pub fn bitfield(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let steps = steps(args, ctx.shard.settings.max_bulk_bytes)?;
    match write_len(&steps) {
        None => read(ctx, key, &steps, reply),
        Some(len) => write(ctx, key, &steps, len, reply),
    }
}

pub fn bitfield_ro(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let steps = steps(args, ctx.shard.settings.max_bulk_bytes)?;
    if write_len(&steps).is_some() {
        return Err(CommandError::Line("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    read(ctx, key, &steps, reply)
}

fn steps(args: &mut Args<'_>, max_bulk_bytes: usize) -> Result<Steps, CommandError> {
    let mut overflow = Overflow::Wrap;
    let mut steps = Steps::new();
    while !args.is_done() {
        let follow = args.left() - 1;
        let action = if follow >= 2 && args.token("GET") {
            Action::Get
        } else if follow >= 3 && args.token("SET") {
            Action::Set(0)
        } else if follow >= 3 && args.token("INCRBY") {
            Action::IncrBy(0)
        } else if follow >= 1 && args.token("OVERFLOW") {
            overflow = overflow_of(args)?;
            continue;
        } else {
            return Err(CommandError::Syntax);
        };
        let field = FieldType::parse(args.take()?).ok_or(CommandError::Line(
            "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
        ))?;
        let offset = field_offset(args.take()?, field, max_bulk_bytes)?;
        let action = match action {
            Action::Get => Action::Get,
            Action::Set(_) => Action::Set(args.int()?),
            Action::IncrBy(_) => Action::IncrBy(args.int()?),
        };
        steps.push(Step { field, offset, action, overflow });
    }
    Ok(steps)
}

/// BITFIELD that only gets only reads. Redis: what cannot be understood is taken for a change.
pub fn access_of(argv: Argv<'_>) -> Access {
    let mut at = 2;
    while let Some(word) = argv.try_get(at) {
        let follow = argv.len() - at - 1;
        at += match () {
            () if word.eq_ignore_ascii_case(b"GET") && follow >= 2 => 3,
            () if word.eq_ignore_ascii_case(b"OVERFLOW") && follow >= 1 => 2,
            () => return Access::RW.and(Access::ACCESS).and(Access::UPDATE),
        };
    }
    Access::RO.and(Access::ACCESS)
}

fn overflow_of(args: &mut Args<'_>) -> Result<Overflow, CommandError> {
    if args.token("WRAP") {
        Ok(Overflow::Wrap)
    } else if args.token("SAT") {
        Ok(Overflow::Saturate)
    } else if args.token("FAIL") {
        Ok(Overflow::Fail)
    } else {
        Err(CommandError::Line("ERR Invalid OVERFLOW type specified"))
    }
}

/// `#n` is the n-th field of its type.
fn field_offset(text: &[u8], field: FieldType, max_bulk_bytes: usize) -> Result<u64, CommandError> {
    let Some(number) = text.strip_prefix(b"#") else { return offset(text, max_bulk_bytes) };
    let at = parse_i64(number).and_then(|number| number.checked_mul(i64::from(field.bits())));
    at.and_then(|at| in_reach(at, max_bulk_bytes)).ok_or(BAD_OFFSET)
}

/// How long the string must be for everything that is written; nothing when all is read.
///
/// A field may reach over the limit of strings by its own width.
fn write_len(steps: &[Step]) -> Option<usize> {
    let writes = steps.iter().filter(|step| !matches!(step.action, Action::Get));
    let end = writes.map(|step| step.offset + u64::from(step.field.bits())).max()?;
    Some(end.div_ceil(8) as usize)
}

fn read(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    steps: &[Step],
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let mut keys = ctx.keys();
    let mut digits = itoa::Buffer::new();
    let bytes = match keys.read(key) {
        Some(entry) => bytes_of(entry.value(), &mut digits)?,
        None => &[],
    };
    reply.array(steps.len());
    for step in steps {
        reply.int(step.field.get(bytes, step.offset));
    }
    Ok(Outcome::Done)
}

fn write(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    steps: &[Step],
    len: usize,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let mut keys = ctx.keys();
    let edited = keys.edit_with(key, |edit| {
        let (bytes, grew) = grown(edit, len)?;
        reply.array(steps.len());
        let changes = run(steps, bytes, grew, reply);
        if changes > 0 {
            edit.commit_many(Event::SETBIT, changes);
        } else if grew {
            // Every step failed, and the string is longer all the same.
            edit.commit(Event::ALL_FAILED);
        }
        Ok(())
    });
    if let Some(edited) = edited {
        return edited.map(|()| Outcome::Done);
    }
    let mut bytes = vec![0; len];
    reply.array(steps.len());
    // Redis: the string is there even when every step failed; then nobody is told.
    let event = if run(steps, &mut bytes, true, reply) > 0 { Event::SETBIT } else { Event::ALL_FAILED };
    keys.set(key, NewValue::Value(Value::String(Arc::new(bytes))), Ttl::Clear, event);
    Ok(Outcome::Done)
}

/// Does every step and writes its reply. How many stored what was not so before.
fn run(steps: &[Step], bytes: &mut [u8], grew: bool, reply: &mut Reply<'_>) -> u64 {
    let mut changes = 0;
    for &Step { field, offset, action, overflow } in steps {
        let before = field.get(bytes, offset);
        let after = match action {
            Action::Get => {
                reply.int(before);
                continue;
            }
            Action::Set(value) => field.fit(value, 0, overflow),
            Action::IncrBy(more) => field.fit(before, more, overflow),
        };
        let Some(after) = after else {
            reply.null();
            continue;
        };
        field.set(bytes, offset, after);
        reply.int(if matches!(action, Action::Set(_)) { before } else { after });
        changes += u64::from(grew || before != after);
    }
    changes
}
