//! Deadlines of fields: HEXPIRE and its kin, HTTL and its kin, HPERSIST.

use super::fields::{Clock, NOT_POSITIVE, take_fields};
use super::{Then, change, exists, names_fields, read, say_fields};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::Event;

/// There is no such field.
const NO_FIELD: i64 = -2;
/// The field has no deadline.
const NO_DEADLINE: i64 = -1;
/// What HEXPIRE answers for a field.
const CONDITION_NOT_MET: i64 = 0;
const SET: i64 = 1;
/// The deadline has passed already.
const DELETED: i64 = 2;

pub fn hexpire(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let clock = Clock { seconds: true, base_ms: ctx.now_ms() };
    expire(ctx, args, reply, clock, "hexpire")
}

pub fn hpexpire(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let clock = Clock { seconds: false, base_ms: ctx.now_ms() };
    expire(ctx, args, reply, clock, "hpexpire")
}

pub fn hexpireat(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    expire(ctx, args, reply, Clock { seconds: true, base_ms: 0 }, "hexpireat")
}

pub fn hpexpireat(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    expire(ctx, args, reply, Clock { seconds: false, base_ms: 0 }, "hpexpireat")
}

#[derive(Clone, Copy)]
enum When {
    Always,
    /// NX.
    WithoutDeadline,
    /// XX.
    WithDeadline,
    /// GT.
    Later,
    /// LT.
    Earlier,
}

impl When {
    fn take(args: &mut Args<'_>) -> When {
        let words = [
            ("NX", When::WithoutDeadline),
            ("XX", When::WithDeadline),
            ("GT", When::Later),
            ("LT", When::Earlier),
        ];
        words.into_iter().find(|(word, _)| args.token(word)).map_or(When::Always, |(_, when)| when)
    }

    /// Redis: no deadline is later than any.
    fn is_met(self, before: Option<u64>, expire_at_ms: u64) -> bool {
        match self {
            When::Always => true,
            When::WithoutDeadline => before.is_none(),
            When::WithDeadline => before.is_some(),
            When::Later => before.is_some_and(|before| expire_at_ms > before),
            When::Earlier => before.is_none_or(|before| expire_at_ms < before),
        }
    }
}

fn expire(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
    clock: Clock,
    command: &'static str,
) -> Result<Outcome, CommandError> {
    let (key, due_ms) = (args.take()?, ctx.due_ms());
    let found = exists(ctx, key)?;
    let expire_at_ms = clock.deadline(args.take()?, command)?;
    let when = When::take(args);
    take_fields(args, CommandError::Line("ERR Parameter `numFields` should be greater than 0"))?;
    let fields = args.rest();
    reply.array(fields.size_hint().0);
    if !found {
        fields.for_each(|_| reply.int(NO_FIELD));
        return Ok(Outcome::Done);
    }
    let (is_named, mut changed) = (names_fields(ctx), Vec::new());
    change(ctx, key, false, |hash, note| {
        let (mut set, mut deleted) = (0, 0);
        for field in fields {
            let answer = match hash.deadline(field) {
                None => NO_FIELD,
                Some(before) if !when.is_met(before, expire_at_ms) => CONDITION_NOT_MET,
                Some(_) if expire_at_ms <= due_ms => {
                    hash.remove(field);
                    deleted += 1;
                    DELETED
                }
                Some(_) => {
                    hash.set_deadline(field, expire_at_ms);
                    set += 1;
                    SET
                }
            };
            if is_named && matches!(answer, SET | DELETED) {
                changed.push(field);
            }
            reply.int(answer);
        }
        if set + deleted > 0 {
            note.events_of(if deleted > 0 { Event::HDEL } else { Event::HEXPIRE }, set + deleted);
            note.name(changed.iter().copied());
        }
        Ok(())
    })?;
    let then = if expire_at_ms <= due_ms { Then::Delete } else { Then::Expire(expire_at_ms) };
    say_fields(ctx, key, &changed, then);
    Ok(Outcome::Done)
}

pub fn httl(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let clock = Clock { seconds: true, base_ms: ctx.now_ms() };
    tell(ctx, args, reply, clock)
}

pub fn hpttl(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let clock = Clock { seconds: false, base_ms: ctx.now_ms() };
    tell(ctx, args, reply, clock)
}

pub fn hexpiretime(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    tell(ctx, args, reply, Clock { seconds: true, base_ms: 0 })
}

pub fn hpexpiretime(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    tell(ctx, args, reply, Clock { seconds: false, base_ms: 0 })
}

fn tell(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
    clock: Clock,
) -> Result<Outcome, CommandError> {
    let (key, due_ms) = (args.take()?, ctx.due_ms());
    let mut keys = ctx.keys();
    let hash = read(&mut keys, key)?;
    take_fields(args, NOT_POSITIVE)?;
    reply.array(args.left());
    for field in args.rest() {
        reply.int(match hash.and_then(|hash| hash.deadline(field, due_ms)) {
            None => NO_FIELD,
            Some(None) => NO_DEADLINE,
            Some(Some(at)) => clock.tell(at),
        });
    }
    Ok(Outcome::Done)
}

pub fn hpersist(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let found = exists(ctx, key)?;
    take_fields(args, NOT_POSITIVE)?;
    let fields = args.rest();
    reply.array(fields.size_hint().0);
    if !found {
        fields.for_each(|_| reply.int(NO_FIELD));
        return Ok(Outcome::Done);
    }
    let (is_named, mut changed) = (names_fields(ctx), Vec::new());
    change(ctx, key, false, |hash, note| {
        let mut persisted = 0;
        for field in fields {
            reply.int(match hash.deadline(field) {
                None => NO_FIELD,
                Some(None) => NO_DEADLINE,
                Some(Some(_)) => {
                    hash.persist(field);
                    persisted += 1;
                    if is_named {
                        changed.push(field);
                    }
                    SET
                }
            });
        }
        if persisted > 0 {
            note.events_of(Event::HPERSIST, persisted);
            note.name(changed.iter().copied());
        }
        Ok(())
    })?;
    say_fields(ctx, key, &changed, Then::Persist);
    Ok(Outcome::Done)
}
