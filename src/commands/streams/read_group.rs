//! XREADGROUP: what a group was not given yet, or what one of its consumers was given.

use smallvec::SmallVec;

use super::group::consumer_of;
use super::limits::Budget;
use super::offer::{offers, shares};
use super::read::{Answer, Streams, begin_stream, check, finish, no_group_to_read};
use super::say::Delivery;
use super::wanted::{From, Wanted};
use super::{reply_entry, reply_fields, reply_id};
use crate::commands::collection::change;
use crate::commands::spec::{Gathered, Hop, On};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Output, Reply};
use crate::shard::{Event, Note};
use crate::types::stream::{Entry, Group, Nack, Stream, StreamId};

pub const XREADGROUP: &[Hop] =
    &[Hop { on: On::Owners, run: xreadgroup_look }, Hop { on: On::Owners, run: xreadgroup_each }];

pub fn xreadgroup(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let wanted = Wanted::take(args.argv(), true)?;
    let mut streams = Streams::default();
    if wanted.streams > 1 {
        (0..wanted.streams).try_for_each(|order| check(ctx, &wanted, order))?;
    }
    let mut budget = Budget::new(wanted.limits);
    for order in 0..wanted.streams {
        if budget.is_spent() {
            break;
        }
        read_group(ctx, &wanted, order, &mut budget, |reply| streams.begin(reply), reply)?;
    }
    if streams.end(reply) {
        return Ok(Outcome::Done);
    }
    Ok(wanted.nothing(&[], reply))
}

/// Writes a stream's part if it has something for the group's consumer.
fn read_group(
    ctx: &mut Ctx<'_>,
    wanted: &Wanted<'_>,
    order: usize,
    budget: &mut Budget,
    begin: impl FnOnce(&mut Reply<'_>),
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let key = wanted.key(order);
    let reader = wanted.group.as_ref().expect("a group was asked for");
    let now_ms = ctx.now_ms();
    let (is_logged, mut did, mut has_read) = (ctx.is_logged(), Delivery::default(), false);
    let found = change(&mut ctx.keys(), key, false, |stream: &mut Stream, note: &mut Note| {
        let counters = stream.counters();
        let edit = stream.edit_group(reader.group).ok_or_else(|| no_group_to_read(key, reader.group))?;
        let from = wanted.from(order)?;
        let (group, log) = (&mut *edit.group, edit.log);
        let begin = |reply: &mut Reply<'_>, budget: &mut Budget| {
            begin(reply);
            budget.begin_stream(reply, |reply| begin_stream(key, reply));
        };
        let count_most = wanted.count.min(budget.entries_left());
        did.is_new = is_logged && group.consumer_index(reader.consumer).is_none();
        if let From::After(id) = from {
            has_read = true;
            let consumer = consumer_of(group, reader.consumer, now_ms, note);
            begin(reply, budget);
            let pending = group.consumer(consumer).pending.range(id.next().unwrap_or(StreamId::MAX)..);
            let ids: SmallVec<[StreamId; 16]> = pending.take(count_most).copied().collect();
            let header = reply.deferred();
            let mut count = 0;
            for id in ids {
                if budget.is_spent() {
                    break;
                }
                count += 1;
                let entry = log.get(id);
                budget.entry(reply, |reply| reply_pending(reply, id, entry.as_ref()));
                if entry.is_none() {
                    continue;
                }
                let before = group.nack_mut(id).expect("what is a consumer's is its group's");
                before.delivered_at_ms = now_ms as i64;
                before.delivery_count = before.delivery_count.wrapping_add(1);
                if is_logged {
                    did.claimed.push((id, *before));
                }
            }
            budget.end_stream(count);
            reply.fill_array(header, count);
            note.event(Event::XREADGROUP);
            return Ok(());
        }
        let claimed = match reader.claim_idle_ms {
            Some(idle_ms) => idle_entries(group, idle_ms, now_ms, wanted.count),
            None => Vec::new(),
        };
        let mut fresh = match group.last_id.next() {
            Some(start) => log.range(start, StreamId::MAX).peekable(),
            None => log.range(StreamId::MAX, StreamId::MIN).peekable(),
        };
        if claimed.is_empty() && fresh.peek().is_none() {
            return Ok(());
        }
        has_read = true;
        // Redis: a new consumer is made when there is something for it.
        let consumer = consumer_of(group, reader.consumer, now_ms, note);
        let nack = Nack { consumer, delivered_at_ms: now_ms as i64, delivery_count: 1 };
        let with_history = reader.claim_idle_ms.is_some();
        let write = |reply: &mut Reply<'_>, entry: &Entry<'_>, before: Option<Nack>| match with_history {
            true => reply_with_history(reply, entry, before, now_ms),
            false => reply_entry(reply, entry),
        };
        begin(reply, budget);
        let header = reply.deferred();
        let mut count = 0;
        for (id, before) in claimed {
            if budget.is_spent() {
                break;
            }
            match log.get(id) {
                Some(entry) => {
                    budget.entry(reply, |reply| write(reply, &entry, Some(before)));
                    let nack = Nack { delivery_count: before.delivery_count.wrapping_add(1), ..nack };
                    group.deliver(id, nack);
                    if is_logged {
                        did.claimed.push((id, nack));
                    }
                    count += 1;
                }
                None => {
                    group.acknowledge(id);
                    if is_logged {
                        did.acknowledged.push(id);
                    }
                }
            }
        }
        for entry in fresh.take(count_most - count) {
            if budget.is_spent() {
                break;
            }
            budget.entry(reply, |reply| write(reply, &entry, None));
            counters.advance(group, entry.id);
            if !reader.no_ack {
                group.deliver(entry.id, nack);
                if is_logged {
                    did.claimed.push((entry.id, nack));
                }
            }
            did.group_at = Some((group.last_id, group.entries_read));
            count += 1;
        }
        budget.end_stream(count);
        reply.fill_array(header, count);
        if count > 0 {
            group.consumer_mut(consumer).active_at_ms = Some(now_ms as i64);
        }
        note.event(Event::XREADGROUP);
        Ok(())
    })?;
    found.ok_or_else(|| no_group_to_read(key, reader.group))?;
    if has_read {
        did.say(ctx, key, reader.group, reader.consumer);
    }
    Ok(())
}

/// A pending entry. Redis: what is not in the stream any more has null for its fields.
pub(super) fn reply_pending(reply: &mut Reply<'_>, id: StreamId, entry: Option<&Entry<'_>>) {
    match entry {
        Some(entry) => reply_entry(reply, entry),
        None => {
            reply.array(2);
            reply_id(reply, id);
            reply.null_array();
        }
    }
}

/// Redis: with CLAIM an entry comes with its idle time and how often it was delivered.
pub(super) fn reply_with_history(
    reply: &mut Reply<'_>,
    entry: &Entry<'_>,
    before: Option<Nack>,
    now_ms: u64,
) {
    reply.array(4);
    reply_id(reply, entry.id);
    reply_fields(reply, entry);
    reply.int(before.map_or(0, |before| before.idle_ms(now_ms) as i64));
    reply.int(before.map_or(0, |before| before.delivery_count as i64));
}

/// Pending entries that have waited long enough, those first that were given back or have waited longest.
pub(super) fn idle_entries(group: &Group, idle_ms: u64, now_ms: u64, count: usize) -> Vec<(StreamId, Nack)> {
    let idle = group.pending().iter().filter(|(_, nack)| nack.idle_ms(now_ms) >= idle_ms);
    let mut idle: Vec<(StreamId, Nack)> = idle.map(|(id, nack)| (*id, *nack)).collect();
    idle.sort_by_key(|(id, nack)| (nack.delivered_at_ms, *id));
    idle.truncate(count);
    idle
}

fn xreadgroup_look(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    let wanted = Wanted::take(argv, true)?;
    mine.iter().try_for_each(|&order| check(ctx, &wanted, order))?;
    Ok(if wanted.limits.any() { offers(ctx, &wanted, mine) } else { Part::Nothing })
}

fn xreadgroup_each(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    let wanted = Wanted::take(argv, true)?;
    let shares = shares(&wanted, got);
    let mut answers = Vec::with_capacity(mine.len());
    for &order in mine {
        let Some(mut budget) = shares.of(order) else { continue };
        let mut part = Output::new();
        let mut reply = Reply::new(&mut part, ctx.client.protocol);
        // Since it was looked at, the key may have expired or been evicted: then there is nothing.
        match read_group(ctx, &wanted, order, &mut budget, |_| {}, &mut reply) {
            Ok(()) => {}
            Err(_) => part.clear(),
        }
        answers.push(Answer { order, part, last_id: StreamId::MIN });
    }
    Ok(Part::Gathered(Box::new(answers)))
}

pub fn xreadgroup_finish(
    argv: Argv<'_>,
    got: &mut Gathered,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    finish(&Wanted::take(argv, true)?, got, reply)
}
