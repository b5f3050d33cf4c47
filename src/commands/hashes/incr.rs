//! Counters in fields: HINCRBY, HINCRBYFLOAT. Fields keep their deadlines.

use super::change;
use crate::commands::rebuild::show_deadlines;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::Event;
use crate::types::hash::Text;
use crate::types::number::{LongDouble, parse_i64};
use crate::types::raw::table::Ttl;

pub fn hincrby(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, field, increment) = (args.take()?, args.take()?, args.int()?);
    let limits = ctx.shard.settings.encodings;
    let sum = change(ctx, key, true, |hash, note| {
        let value = match hash.get(field) {
            None => Some(0),
            Some(Text::Int(value)) => Some(value),
            Some(Text::Bytes(bytes)) => parse_i64(bytes),
            Some(Text::Long(_)) => None,
        };
        let value = value.ok_or(CommandError::Line("ERR hash value is not an integer"))?;
        let sum = value.checked_add(increment).ok_or(CommandError::IncrOverflow)?;
        hash.set(field, itoa::Buffer::new().format(sum).as_bytes(), Ttl::Keep, &limits);
        note.event(Event::HINCRBY);
        note.name([field]);
        Ok(sum)
    })?;
    reply.int(sum.expect("a missing hash is made"));
    Ok(Outcome::Done)
}

pub fn hincrbyfloat(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, field, increment) = (args.take()?, args.take()?, args.take()?);
    let increment = LongDouble::parse(increment).ok_or(CommandError::NotFloat)?;
    if !increment.is_finite() {
        return Err(CommandError::Line("ERR value is NaN or Infinity"));
    }
    let limits = ctx.shard.settings.encodings;
    let text = change(ctx, key, true, |hash, note| {
        let value = match hash.get(field) {
            None => Some(LongDouble::from_i64(0)),
            Some(Text::Int(value)) => Some(LongDouble::from_i64(value)),
            Some(value) => LongDouble::parse(value.as_bytes(&mut itoa::Buffer::new())),
        };
        let value = value.ok_or(CommandError::Line("ERR hash value is not a float"))?;
        let sum = value.add(increment);
        if !sum.is_finite() {
            return Err(CommandError::IncrNanOrInf);
        }
        let text = sum.to_human();
        hash.set(field, &text, Ttl::Keep, &limits);
        note.event(Event::HINCRBYFLOAT);
        note.name([field]);
        Ok((text, hash.deadline(field).flatten()))
    })?;
    let (text, deadline) = text.expect("a missing hash is made");
    ctx.say(|log, db| {
        log.say(db, &[b"HSET", key, field, &text]);
        // HSET takes it off.
        if let Some(at) = deadline {
            show_deadlines(key, vec![(at, field.to_vec())], &mut |args| log.say(db, args));
        }
    });
    reply.bulk(&text);
    Ok(Outcome::Done)
}
