//! Deadlines: the EXPIRE family, the TTL family and PERSIST.

use crate::commands::{Args, CommandError, Ctx, Outcome, quoted};
use crate::resp::Reply;
use crate::shard::Event;

/// How a command of the EXPIRE family counts time.
#[derive(Clone, Copy)]
struct Unit {
    command: &'static str,
    ms: i64,
    relative: bool,
}

/// The conditions under which a deadline is set.
#[derive(Clone, Copy, Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn take(args: &mut Args<'_>) -> Result<Conditions, CommandError> {
        let mut when = Conditions::default();
        while let Some(option) = args.peek() {
            let flag = match () {
                () if args.token("nx") => &mut when.nx,
                () if args.token("xx") => &mut when.xx,
                () if args.token("gt") => &mut when.gt,
                () if args.token("lt") => &mut when.lt,
                () => {
                    return Err(CommandError::UnsupportedOption(quoted(option, usize::MAX).into()));
                }
            };
            *flag = true;
        }
        if when.nx && (when.xx || when.gt || when.lt) {
            return Err(CommandError::ExpireNxWithOthers);
        }
        if when.gt && when.lt {
            return Err(CommandError::ExpireGtWithLt);
        }
        Ok(when)
    }

    /// Redis: no deadline counts as an infinite one.
    fn allow(self, at_ms: i64, current: Option<i64>) -> bool {
        !(self.nx && current.is_some()
            || self.xx && current.is_none()
            || self.gt && current.is_none_or(|current| at_ms <= current)
            || self.lt && current.is_some_and(|current| at_ms >= current))
    }
}

/// Sets a deadline; one that has passed deletes the key.
fn expire_at(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
    unit: Unit,
) -> Result<Outcome, CommandError> {
    let (key, mut time) = (args.take()?, *args);
    args.take()?;
    let conditions = Conditions::take(args)?;
    let (now_ms, due_ms) = (ctx.now_ms() as i64, ctx.due_ms() as i64);
    let base_ms = if unit.relative { now_ms } else { 0 };
    let at_ms = time.int()?.checked_mul(unit.ms).and_then(|ms| ms.checked_add(base_ms));
    let at_ms = at_ms.ok_or(CommandError::InvalidExpire(unit.command))?;

    let mut keys = ctx.keys();
    let passed = at_ms <= due_ms;
    let allowed = keys.edit_with(key, |edit| {
        let allowed = conditions.allow(at_ms, edit.expire_at_ms().map(|ms| ms as i64));
        if allowed && !passed {
            edit.set_expire(at_ms as u64);
            edit.commit(Event::EXPIRE);
        }
        allowed
    });
    let done = allowed == Some(true) && (!passed || keys.remove(key, Event::DEL));
    if done {
        ctx.say(|log, db| match passed {
            true => log.say(db, &[b"DEL", key]),
            false => log.say(db, &[b"PEXPIREAT", key, itoa::Buffer::new().format(at_ms).as_bytes()]),
        });
    }
    reply.int(i64::from(done));
    Ok(Outcome::Done)
}

pub fn expire(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    expire_at(ctx, args, reply, Unit { command: "expire", ms: 1000, relative: true })
}

pub fn pexpire(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    expire_at(ctx, args, reply, Unit { command: "pexpire", ms: 1, relative: true })
}

pub fn expireat(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    expire_at(ctx, args, reply, Unit { command: "expireat", ms: 1000, relative: false })
}

pub fn pexpireat(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    expire_at(ctx, args, reply, Unit { command: "pexpireat", ms: 1, relative: false })
}

/// Answers -2 without a key, -1 without a deadline, else the deadline in milliseconds as `shown` by the command.
fn deadline(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
    shown: fn(at_ms: i64, now_ms: i64) -> i64,
) -> Result<Outcome, CommandError> {
    let now_ms = ctx.now_ms() as i64;
    reply.int(match ctx.keys().read_untouched(args.take()?).map(|entry| entry.expire_at_ms()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => shown(at as i64, now_ms),
    });
    Ok(Outcome::Done)
}

/// Redis: rounds to the nearest second.
fn seconds(ms: i64) -> i64 {
    // Unsigned, so that the last half second before the end of time rounds up too.
    ((ms as u64 + 500) / 1000) as i64
}

pub fn ttl(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    deadline(ctx, args, reply, |at_ms, now_ms| seconds((at_ms - now_ms).max(0)))
}

pub fn pttl(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    deadline(ctx, args, reply, |at_ms, now_ms| (at_ms - now_ms).max(0))
}

pub fn expiretime(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    deadline(ctx, args, reply, |at_ms, _| seconds(at_ms))
}

pub fn pexpiretime(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    deadline(ctx, args, reply, |at_ms, _| at_ms)
}

pub fn persist(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let done = ctx.keys().edit_with(key, |edit| {
        let had_deadline = edit.persist();
        if had_deadline {
            edit.commit(Event::PERSIST);
        }
        had_deadline
    });
    reply.int(i64::from(done == Some(true)));
    Ok(Outcome::Done)
}
