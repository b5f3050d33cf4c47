//! OBJECT: how a value is kept and when it was used.

use crate::commands::strings;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::access::Counting;
use crate::shard::{EvictionPolicy, Shard, ValueView};
use crate::types::Value;

/// Redis shares the objects of the integers below this, and shows the largest count for them.
const SHARED_INTEGERS: i64 = 10_000;
const SHARED_REFCOUNT: i64 = i32::MAX as i64;

/// Lines of OBJECT HELP, but for the first and the last two, which every HELP has.
const HELP: [&str; 12] = [
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
];

/// What OBJECT ENCODING answers for a value of any type.
pub fn encoding_of(value: ValueView<'_>) -> Option<&'static str> {
    match value {
        ValueView::Packed(form, _) => Some(form.encoding()),
        ValueView::Heap(Value::List(_)) => Some("quicklist"),
        ValueView::Heap(Value::Set(set)) => Some(set.encoding()),
        ValueView::Heap(Value::ZSet(zset)) => Some(zset.encoding()),
        ValueView::Heap(Value::Hash(hash)) => Some(hash.encoding()),
        ValueView::Heap(Value::Stream(_)) => Some("stream"),
        ValueView::Int(_) | ValueView::Bytes(_) | ValueView::Heap(Value::String(_)) => {
            strings::encoding_of(value)
        }
    }
}

pub fn encoding(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    match ctx.keys().inspect(args.take()?).and_then(|entry| encoding_of(entry.value())) {
        Some(name) => reply.bulk(name.as_bytes()),
        None => reply.null(),
    }
    Ok(Outcome::Done)
}

pub fn freq(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let clock = ctx.shard.access_clock();
    match ctx.keys().inspect(args.take()?) {
        None => reply.null(),
        Some(_) if clock.counting == Counting::Lru => return Err(CommandError::LfuNotSelected),
        Some(entry) => reply.int(i64::from(clock.frequency(entry.access()))),
    }
    Ok(Outcome::Done)
}

pub fn idletime(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let clock = ctx.shard.access_clock();
    match ctx.keys().inspect(args.take()?) {
        None => reply.null(),
        Some(_) if clock.counting != Counting::Lru => return Err(CommandError::LfuSelected),
        Some(entry) => reply.int(clock.idle_seconds(entry.access()) as i64),
    }
    Ok(Outcome::Done)
}

pub fn refcount(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let shares = shares_integers(ctx.shard);
    match ctx.keys().inspect(args.take()?).map(|entry| entry.value()) {
        None => reply.null(),
        Some(ValueView::Int(0..SHARED_INTEGERS)) if shares => reply.int(SHARED_REFCOUNT),
        Some(_) => reply.int(1),
    }
    Ok(Outcome::Done)
}

/// Redis: integers are not shared while eviction needs each key's own access time.
fn shares_integers(shard: &Shard) -> bool {
    use EvictionPolicy::*;
    let counts_access = matches!(
        shard.settings.policy,
        AllKeysLru | AllKeysLfu | AllKeysLrm | VolatileLru | VolatileLfu | VolatileLrm
    );
    shard.settings.maxmemory_bytes == 0 || !counts_access
}

pub fn help(_: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    reply.array(HELP.len() + 3);
    reply.simple("OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    for line in HELP {
        reply.simple(line);
    }
    reply.simple("HELP");
    reply.simple("    Prints this help.");
    Ok(Outcome::Done)
}
