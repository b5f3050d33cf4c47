//! XCLAIM and XAUTOCLAIM: pending entries change hands.

use smallvec::SmallVec;

use super::group::consumer_of;
use super::ids::{interval_start, strict_id};
use super::say::Delivery;
use super::{no_group, reply_entry, reply_id};
use crate::commands::collection::change;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::Event;
use crate::types::number::parse_i64;
use crate::types::stream::{NOBODY, Nack, Stream, StreamId};

/// XAUTOCLAIM looks at so many pending entries for each that it may claim.
const ATTEMPTS_PER_ENTRY: u64 = 10;
const AUTOCLAIM_COUNT: u64 = 100;

fn integer(text: &[u8], error: &'static str) -> Result<i64, CommandError> {
    parse_i64(text).ok_or(CommandError::Line(error))
}

/// The options of XCLAIM.
#[derive(Default)]
struct Options {
    delivered_at_ms: Option<i64>,
    retry_count: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
}

impl Options {
    fn take(args: &mut Args<'_>, now_ms: u64) -> Result<Options, CommandError> {
        let now_ms = now_ms as i64;
        let mut options = Options::default();
        while !args.is_done() {
            let has_more = args.left() > 1;
            if args.token("FORCE") {
                options.force = true;
            } else if args.token("JUSTID") {
                options.just_id = true;
            } else if has_more && args.token("IDLE") {
                let idle_ms = integer(args.take()?, "ERR Invalid IDLE option argument for XCLAIM")?;
                options.delivered_at_ms = Some(now_ms.wrapping_sub(idle_ms));
            } else if has_more && args.token("TIME") {
                let at = integer(args.take()?, "ERR Invalid TIME option argument for XCLAIM")?;
                options.delivered_at_ms = Some(at);
            } else if has_more && args.token("RETRYCOUNT") {
                let count = integer(args.take()?, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                options.retry_count = u64::try_from(count).ok();
            } else if has_more && args.token("LASTID") {
                options.last_id = strict_id(args.take()?, 0)?;
            } else {
                return Err(CommandError::quoting("ERR Unrecognized XCLAIM option '", args.take()?, "'"));
            }
        }
        // Redis: what is not in the past is now; so is -1, which stands for no option.
        options.delivered_at_ms = options.delivered_at_ms.filter(|at| (0..=now_ms).contains(at));
        Ok(options)
    }
}

pub fn xclaim(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, name, consumer) = (args.take()?, args.take()?, args.take()?);
    let now_ms = ctx.now_ms();
    let (is_logged, mut did) = (ctx.is_logged(), Delivery::default());
    let claimed = change(&mut ctx.keys(), key, false, |stream: &mut Stream, note| {
        let edit = stream.edit_group(name).ok_or_else(|| no_group(key, name))?;
        let (group, log) = (&mut *edit.group, edit.log);
        let min_idle_ms =
            integer(args.take()?, "ERR Invalid min-idle-time argument for XCLAIM")?.max(0) as u64;
        let mut ids: SmallVec<[StreamId; 16]> = SmallVec::new();
        while let Some(id) = args.peek().and_then(|text| StreamId::parse(text, 0)) {
            args.take()?;
            ids.push(id);
        }
        let options = Options::take(args, now_ms)?;
        let mut changes = 0;
        if options.last_id > group.last_id {
            group.last_id = options.last_id;
            did.group_at = Some((group.last_id, group.entries_read));
            changes += 1;
        }
        // Redis: a new consumer is made when it gets its first entry.
        let mut owner = None;
        let header = reply.deferred();
        let mut count = 0;
        for id in ids {
            let Some(entry) = log.get(id) else {
                if group.acknowledge(id) {
                    changes += 1;
                    if is_logged {
                        did.acknowledged.push(id);
                    }
                }
                continue;
            };
            let before = match group.pending().get(&id) {
                Some(nack) => *nack,
                None if options.force => {
                    Nack { consumer: NOBODY, delivered_at_ms: now_ms as i64, delivery_count: 1 }
                }
                None => continue,
            };
            if before.consumer != NOBODY && before.idle_ms(now_ms) < min_idle_ms {
                continue;
            }
            let delivery_count = match options.retry_count {
                Some(count) => count,
                None if options.just_id => before.delivery_count,
                None => before.delivery_count.wrapping_add(1),
            };
            let delivered_at_ms = options.delivered_at_ms.unwrap_or(now_ms as i64);
            let consumer = *owner.get_or_insert_with(|| consumer_of(group, consumer, now_ms, note));
            let nack = Nack { consumer, delivered_at_ms, delivery_count };
            group.deliver(id, nack);
            if is_logged {
                did.claimed.push((id, nack));
            }
            if options.just_id {
                reply_id(reply, id);
            } else {
                reply_entry(reply, &entry);
            }
            count += 1;
        }
        if let Some(consumer) = owner {
            group.consumer_mut(consumer).active_at_ms = Some(now_ms as i64);
        }
        reply.fill_array(header, count);
        changes += count as u64;
        if changes > 0 {
            note.events_of(Event::XCLAIM, changes);
        }
        Ok(())
    })?;
    claimed.ok_or_else(|| no_group(key, name))?;
    did.say(ctx, key, name, consumer);
    Ok(Outcome::Done)
}

pub fn xautoclaim(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, name, consumer) = (args.take()?, args.take()?, args.take()?);
    let min_idle_ms =
        integer(args.take()?, "ERR Invalid min-idle-time argument for XAUTOCLAIM")?.max(0) as u64;
    let start = interval_start(args.take()?)?;
    let (mut count, mut just_id) = (AUTOCLAIM_COUNT, false);
    while !args.is_done() {
        if args.left() > 1 && args.token("COUNT") {
            let given = parse_i64(args.take()?).filter(|count| (1..=i64::MAX / 16).contains(count));
            count = given.ok_or(CommandError::Line("ERR COUNT must be > 0"))? as u64;
        } else if args.token("JUSTID") {
            just_id = true;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let now_ms = ctx.now_ms();
    let (is_logged, mut did) = (ctx.is_logged(), Delivery::default());
    let claimed = change(&mut ctx.keys(), key, false, |stream: &mut Stream, note| {
        let edit = stream.edit_group(name).ok_or_else(|| no_group(key, name))?;
        let (group, log) = (&mut *edit.group, edit.log);
        // Redis: a new consumer is made when it gets its first entry.
        let mut owner = None;
        reply.array(3);
        // The cursor stands before what it counts, so all is written apart.
        let mut entries = crate::resp::Output::new();
        let mut claimed = 0;
        let gone = &mut did.acknowledged;
        let mut attempts = count.saturating_mul(ATTEMPTS_PER_ENTRY);
        let mut from = Some(start);
        let mut cursor = None;
        while let Some(at) = from {
            let Some((&id, &nack)) = group.pending().range(at..).next() else { break };
            if attempts == 0 || claimed + gone.len() as u64 == count {
                cursor = Some(id);
                break;
            }
            attempts -= 1;
            from = id.next();
            let Some(entry) = log.get(id) else {
                group.acknowledge(id);
                gone.push(id);
                continue;
            };
            if min_idle_ms > 0 && nack.idle_ms(now_ms) < min_idle_ms {
                continue;
            }
            let delivery_count = nack.delivery_count.wrapping_add(u64::from(!just_id));
            let consumer = *owner.get_or_insert_with(|| consumer_of(group, consumer, now_ms, note));
            let nack = Nack { consumer, delivered_at_ms: now_ms as i64, delivery_count };
            group.deliver(id, nack);
            if is_logged {
                did.claimed.push((id, nack));
            }
            let mut reply = Reply::new(&mut entries, reply.protocol);
            if just_id {
                reply_id(&mut reply, id);
            } else {
                reply_entry(&mut reply, &entry);
            }
            claimed += 1;
        }
        if let Some(consumer) = owner {
            group.consumer_mut(consumer).active_at_ms = Some(now_ms as i64);
        }
        reply_id(reply, cursor.unwrap_or(StreamId::MIN));
        reply.array(claimed as usize);
        reply.out.append(&mut entries);
        reply.array(gone.len());
        gone.iter().for_each(|id| reply_id(reply, *id));
        let changes = claimed + gone.len() as u64;
        if changes > 0 {
            note.events_of(Event::XAUTOCLAIM, changes);
        }
        Ok(())
    })?;
    claimed.ok_or_else(|| no_group(key, name))?;
    did.say(ctx, key, name, consumer);
    Ok(Outcome::Done)
}
