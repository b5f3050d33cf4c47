//! XPENDING: what was delivered and is not acknowledged.

use super::ids::{interval_end, interval_start};
use super::{group_of, reply_id};
use crate::commands::collection::read;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::types::stream::{Group, NOBODY, Nack, Stream, StreamId};

/// Which pending entries are asked for.
struct Wanted<'a> {
    min_idle_ms: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Wanted<'a> {
    fn take(args: &mut Args<'a>) -> Result<Wanted<'a>, CommandError> {
        if !(3..=6).contains(&args.left()) {
            return Err(CommandError::Syntax);
        }
        let mut min_idle_ms = 0;
        if args.token("IDLE") {
            min_idle_ms = args.int()?;
            if args.left() < 3 {
                return Err(CommandError::Syntax);
            }
        }
        let (start, end) = (args.take()?, args.take()?);
        let count = args.int()?.max(0) as usize;
        let (start, end) = (interval_start(start)?, interval_end(end)?);
        Ok(Wanted { min_idle_ms, start, end, count, consumer: args.peek() })
    }
}

pub fn xpending(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, name) = (args.take()?, args.take()?);
    let wanted = if args.is_done() { None } else { Some(Wanted::take(args)?) };
    let now_ms = ctx.now_ms();
    let mut keys = ctx.keys();
    let (_, group) = group_of(read::<Stream>(&mut keys, key)?, key, name)?;
    match wanted {
        None => summary(group, reply),
        Some(wanted) => extended(group, &wanted, now_ms, reply),
    }
    Ok(Outcome::Done)
}

fn summary(group: &Group, reply: &mut Reply<'_>) {
    reply.array(4);
    let pending = group.pending();
    reply.int(pending.len() as i64);
    let (Some((first, _)), Some((last, _))) = (pending.first_key_value(), pending.last_key_value()) else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    reply_id(reply, *first);
    reply_id(reply, *last);
    let header = reply.deferred();
    let mut consumers = 0;
    for consumer in group.consumers().filter(|consumer| !consumer.pending.is_empty()) {
        reply.array(2);
        reply.bulk(&consumer.name);
        reply.bulk_int(consumer.pending.len() as i64);
        consumers += 1;
    }
    reply.fill_array(header, consumers);
}

fn extended(group: &Group, wanted: &Wanted<'_>, now_ms: u64, reply: &mut Reply<'_>) {
    if wanted.start > wanted.end {
        return reply.array(0);
    }
    let header = reply.deferred();
    let mut count = 0;
    let mut show = |id: StreamId, nack: &Nack| {
        let idle_ms = if nack.consumer == NOBODY { -1 } else { nack.idle_ms(now_ms) as i64 };
        if count == wanted.count || (wanted.min_idle_ms > 0 && idle_ms < wanted.min_idle_ms) {
            return count < wanted.count;
        }
        reply.array(4);
        reply_id(reply, id);
        reply.bulk(group.owner_name(nack));
        reply.int(idle_ms);
        reply.int(nack.delivery_count as i64);
        count += 1;
        true
    };
    let range = wanted.start..=wanted.end;
    match wanted.consumer {
        None => {
            group.pending().range(range).all(|(id, nack)| show(*id, nack));
        }
        Some(name) => {
            let consumer = group.consumer_index(name).map(|index| group.consumer(index));
            let pending = consumer.into_iter().flat_map(|consumer| consumer.pending.range(range.clone()));
            pending.into_iter().all(|id| show(*id, &group.pending()[id]));
        }
    }
    reply.fill_array(header, count);
}
