//! Counters: INCR and its kin, and INCRBYFLOAT.

use super::set::say_set;
use super::{bytes_of, string_of};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::{Event, NewValue, ValueView};
use crate::types::number::{LongDouble, parse_i64};
use crate::types::raw::table::Ttl;

pub fn incr(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    add(ctx, args.take()?, 1, reply)
}

pub fn decr(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    add(ctx, args.take()?, -1, reply)
}

pub fn incrby(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, increment) = (args.take()?, args.int()?);
    add(ctx, key, increment, reply)
}

pub fn decrby(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, decrement) = (args.take()?, args.int()?);
    let increment = decrement.checked_neg().ok_or(CommandError::Line("ERR decrement would overflow"))?;
    add(ctx, key, increment, reply)
}

/// The integer a string value spells.
#[inline]
pub fn integer_of(value: ValueView<'_>) -> Result<i64, CommandError> {
    match value {
        ValueView::Int(value) => Some(value),
        ValueView::Bytes(bytes) => parse_i64(bytes),
        ValueView::Packed(..) => return Err(CommandError::WrongType),
        ValueView::Heap(value) => parse_i64(string_of(value)?),
    }
    .ok_or(CommandError::NotInteger)
}

/// Redis: DECR and DECRBY report `incrby` as well.
#[inline]
fn add(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    increment: i64,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let mut keys = ctx.keys();
    let sum = keys.edit_with(key, |edit| {
        let sum = integer_of(edit.value())?.checked_add(increment).ok_or(CommandError::IncrOverflow)?;
        edit.set(NewValue::Int(sum));
        edit.commit(Event::INCRBY);
        Ok(sum)
    });
    let sum = match sum {
        Some(sum) => sum?,
        None => {
            keys.set(key, NewValue::Int(increment), Ttl::Clear, Event::INCRBY);
            increment
        }
    };
    reply.int(sum);
    Ok(Outcome::Done)
}

/// The float a string value spells, in the precision INCRBYFLOAT computes in.
pub fn float_of(value: ValueView<'_>) -> Result<LongDouble, CommandError> {
    if let ValueView::Int(value) = value {
        return Ok(LongDouble::from_i64(value));
    }
    LongDouble::parse(bytes_of(value, &mut itoa::Buffer::new())?).ok_or(CommandError::NotFloat)
}

pub fn incrbyfloat(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, increment) = (args.take()?, args.take()?);
    let read = |value: LongDouble| {
        let increment = LongDouble::parse(increment).ok_or(CommandError::NotFloat)?;
        let sum = value.add(increment);
        if sum.is_finite() { Ok(sum.to_human()) } else { Err(CommandError::IncrNanOrInf) }
    };
    let mut keys = ctx.keys();
    let sum = keys.edit_with(key, |edit| {
        let text = read(float_of(edit.value())?)?;
        // Redis: the text is kept as text even when it is an integer's.
        edit.set(NewValue::Bytes(&text));
        edit.commit(Event::INCRBYFLOAT);
        Ok(text)
    });
    let text = match sum {
        Some(text) => text?,
        None => {
            let text = read(LongDouble::from_i64(0))?;
            keys.set(key, NewValue::Bytes(&text), Ttl::Clear, Event::INCRBYFLOAT);
            text
        }
    };
    say_set(ctx, key, &text, Ttl::Keep);
    reply.bulk(&text);
    Ok(Outcome::Done)
}
