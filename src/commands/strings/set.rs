//! SET and its forerunners.

use super::compare::Condition;
use super::expiry::{Expiry, Unit};
use super::{compact, reply_string};
use crate::commands::spec::Access;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::{Argv, Reply};
use crate::shard::Event;
use crate::types::number::parse_i64;
use crate::types::raw::table::Ttl;

/// Stores a string and reports it: `set`, and `expire` when a deadline comes with it.
#[inline]
pub fn store(ctx: &mut Ctx<'_>, key: &[u8], value: &[u8], ttl: Ttl) {
    let mut keys = ctx.keys();
    keys.set(key, compact(value), ttl, Event::SET);
    if matches!(ttl, Ttl::Set(_)) {
        keys.also(key, Event::EXPIRE);
    }
}

/// Says that a key was set, in a way that means the same whenever it is read.
pub fn say_set(ctx: &mut Ctx<'_>, key: &[u8], value: &[u8], ttl: Ttl) {
    ctx.say(|log, db| match ttl {
        Ttl::Clear => log.say(db, &[b"SET", key, value]),
        Ttl::Keep => log.say(db, &[b"SET", key, value, b"KEEPTTL"]),
        Ttl::Set(at) => {
            log.say(db, &[b"SET", key, value, b"PXAT", itoa::Buffer::new().format(at).as_bytes()]);
        }
    });
}

pub fn set(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, value) = (args.take()?, args.take()?);
    if args.is_done() {
        ctx.keys().set(key, compact(value), Ttl::Clear, Event::SET);
        reply.ok();
        return Ok(Outcome::Done);
    }
    set_with_options(ctx, key, value, args, reply)
}

/// SET reads the value only for GET and for conditions on it. Redis: the word counts wherever it stands.
pub fn access_of(argv: Argv<'_>) -> Access {
    const READING: [&str; 5] = ["GET", "IFEQ", "IFNE", "IFDEQ", "IFDNE"];
    let reads = |word: &[u8]| READING.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()));
    if argv.iter().skip(3).any(reads) {
        Access::RW.and(Access::ACCESS).and(Access::UPDATE)
    } else {
        Access::OW.and(Access::UPDATE)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum When<'a> {
    Always,
    /// NX.
    Missing,
    /// XX.
    Present,
    Holds(Condition<'a>),
}

fn set_with_options<'a>(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    value: &[u8],
    args: &mut Args<'a>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (mut when, mut expiry, mut get) = (When::Always, Expiry::Unsaid, false);
    while !args.is_done() {
        if expiry.option(args, "KEEPTTL", Expiry::Keep) {
            continue;
        }
        if args.token("GET") {
            get = true;
            continue;
        }
        let next = if args.token("NX") {
            When::Missing
        } else if args.token("XX") {
            When::Present
        } else if let Some(condition) = Condition::option(args) {
            When::Holds(condition)
        } else {
            return Err(CommandError::Syntax);
        };
        // Redis: a condition may be repeated, but not combined with another kind.
        let fits = match (when, next) {
            (When::Always, _) => true,
            (When::Holds(before), When::Holds(condition)) => before.is_same_kind(condition),
            (before, next) => before == next,
        };
        if !fits {
            return Err(CommandError::Syntax);
        }
        when = next;
    }
    let ttl = expiry.ttl(ctx.now_ms(), "set")?;

    let mut keys = ctx.keys();
    // GET reads for the client: that counts as hit or miss. A condition alone does not.
    let found = if get { keys.read(key) } else { keys.peek(key) };
    if get {
        match &found {
            Some(entry) => reply_string(entry.value(), reply)?,
            None => reply.null(),
        }
    }
    let proceed = match (when, &found) {
        (When::Always, _) => true,
        (When::Missing, found) => found.is_none(),
        (When::Present, found) => found.is_some(),
        (When::Holds(condition), None) => condition.holds_without_key(),
        (When::Holds(condition), Some(entry)) => condition.holds(entry.value())?,
    };
    if proceed {
        store(ctx, key, value, ttl);
        say_set(ctx, key, value, ttl);
    }
    if !get {
        if proceed { reply.ok() } else { reply.null() }
    }
    Ok(Outcome::Done)
}

pub fn setnx(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, value) = (args.take()?, args.take()?);
    let missing = !ctx.keys().exists(key);
    if missing {
        store(ctx, key, value, Ttl::Clear);
    }
    reply.int(i64::from(missing));
    Ok(Outcome::Done)
}

pub fn setex(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    set_expiring(ctx, args, reply, Unit::Ex, "setex")
}

pub fn psetex(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    set_expiring(ctx, args, reply, Unit::Px, "psetex")
}

fn set_expiring(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
    unit: Unit,
    command: &'static str,
) -> Result<Outcome, CommandError> {
    let (key, number, value) = (args.take()?, args.take()?, args.take()?);
    let number = parse_i64(number).ok_or(CommandError::NotInteger)?;
    let at = unit.deadline(number, ctx.now_ms(), command)?;
    store(ctx, key, value, Ttl::Set(at));
    say_set(ctx, key, value, Ttl::Set(at));
    reply.ok();
    Ok(Outcome::Done)
}

pub fn getset(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, value) = (args.take()?, args.take()?);
    match ctx.keys().read(key) {
        Some(entry) => reply_string(entry.value(), reply)?,
        None => reply.null(),
    }
    store(ctx, key, value, Ttl::Clear);
    Ok(Outcome::Done)
}
