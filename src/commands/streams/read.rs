//! XREAD: what is new, in several streams at once; and what XREADGROUP ([`read_group`](super::read_group)) has in common
//! with it.
//!
//! With all keys on one shard the reply is written straight from the streams. Over several shards XREADGROUP looks on
//! all of them first, because reading changes its group and nothing may fail after that; then every owner answers for
//! its keys, and the answers are put in the order of the request. A limit of the whole reply ([`limits`](super::limits))
//! is shared out in the same way: first it is seen what every stream would give.

use smallvec::SmallVec;

use super::limits::Budget;
use super::offer::{offers, shares};
use super::range::{Range, reply_entries};
use super::wanted::{From, Wanted};
use super::{no_group, reply_entry};
use crate::commands::collection::{read, view_of};
use crate::commands::spec::{Gathered, Hop, On};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Deferred, Output, Protocol, Reply};
use crate::types::stream::{Stream, StreamId};

pub const XREAD: &[Hop] =
    &[Hop { on: On::OwnersIf(is_limited), run: xread_look }, Hop { on: On::Owners, run: xread_each }];

pub fn xread(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let wanted = Wanted::take(args.argv(), false)?;
    let mut streams = Streams::default();
    let mut latest: SmallVec<[StreamId; 4]> = SmallVec::new();
    if wanted.streams > 1 {
        (0..wanted.streams).try_for_each(|order| check(ctx, &wanted, order))?;
    }
    if let Some(start) = begins_much(ctx, &wanted)? {
        let key = wanted.key(0);
        // Counted as the access that it is.
        ctx.keys().read(key);
        return ctx.in_slices(key, Range::of_stream(key, start, wanted.count));
    }
    let mut budget = Budget::new(wanted.limits);
    for order in 0..wanted.streams {
        if budget.is_spent() {
            break;
        }
        latest.push(read_one(ctx, &wanted, order, &mut budget, |reply| streams.begin(reply), reply)?);
    }
    if streams.end(reply) {
        return Ok(Outcome::Done);
    }
    Ok(wanted.nothing(&latest, reply))
}

/// Where the entries of a request's only stream begin, when they are so many that they are shown in slices.
fn begins_much(ctx: &mut Ctx<'_>, wanted: &Wanted<'_>) -> Result<Option<StreamId>, CommandError> {
    let above = ctx.shard.settings.slices_above;
    if wanted.streams > 1 || wanted.limits.any() || wanted.count <= above {
        return Ok(None);
    }
    let mut keys = ctx.keys();
    let Some(entry) = keys.peek(wanted.key(0)) else { return Ok(None) };
    let stream = view_of::<Stream>(entry.value())?;
    if stream.entry_count() <= above as u64 {
        return Ok(None);
    }
    let From::After(id) = wanted.from(0)? else { return Ok(None) };
    let is_much = |start: &StreamId| stream.log().range(*start, StreamId::MAX).nth(above).is_some();
    Ok(id.next().filter(is_much))
}

/// Writes a stream's part if it has something; its last id.
fn read_one(
    ctx: &mut Ctx<'_>,
    wanted: &Wanted<'_>,
    order: usize,
    budget: &mut Budget,
    begin: impl FnOnce(&mut Reply<'_>),
    reply: &mut Reply<'_>,
) -> Result<StreamId, CommandError> {
    let key = wanted.key(order);
    let mut keys = ctx.keys();
    let Some(stream) = read::<Stream>(&mut keys, key)? else {
        wanted.from(order)?;
        return Ok(StreamId::MIN);
    };
    let start = match wanted.from(order)? {
        From::After(id) => id.next(),
        From::Last => stream.log().last().map(|entry| entry.id),
        From::Latest | From::New => None,
    };
    if let Some(start) = start {
        let mut entries = stream.log().range(start, StreamId::MAX).peekable();
        if entries.peek().is_some() {
            begin(reply);
            budget.begin_stream(reply, |reply| begin_stream(key, reply));
            if budget.is_unlimited() {
                reply_entries(reply, entries.take(wanted.count));
            } else {
                let header = reply.deferred();
                let mut count = 0;
                for entry in entries.take(wanted.count) {
                    if budget.is_spent() {
                        break;
                    }
                    budget.entry(reply, |reply| reply_entry(reply, &entry));
                    count += 1;
                }
                budget.end_stream(count);
                reply.fill_array(header, count);
            }
        }
    }
    Ok(stream.last_id)
}

/// Does XREAD limit its reply over all streams?
fn is_limited(argv: Argv<'_>) -> bool {
    Wanted::take(argv, false).is_ok_and(|wanted| wanted.limits.any())
}

fn xread_look(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    let wanted = Wanted::take(argv, false)?;
    mine.iter().try_for_each(|&order| check(ctx, &wanted, order))?;
    Ok(offers(ctx, &wanted, mine))
}

fn xread_each(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    let wanted = Wanted::take(argv, false)?;
    let shares = shares(&wanted, got);
    let mut answers = Vec::with_capacity(mine.len());
    for &order in mine {
        let Some(mut budget) = shares.of(order) else { continue };
        let mut part = Output::new();
        let mut reply = Reply::new(&mut part, ctx.client.protocol);
        let last_id = read_one(ctx, &wanted, order, &mut budget, |_| {}, &mut reply)?;
        answers.push(Answer { order, part, last_id });
    }
    Ok(Part::Gathered(Box::new(answers)))
}

pub fn xread_finish(
    argv: Argv<'_>,
    got: &mut Gathered,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    finish(&Wanted::take(argv, false)?, got, reply)
}

/// Refuses a key of another type, a group that is not there, and what is no id, in Redis's order.
pub(super) fn check(ctx: &mut Ctx<'_>, wanted: &Wanted<'_>, order: usize) -> Result<(), CommandError> {
    let key = wanted.key(order);
    let mut keys = ctx.keys();
    let stream = match keys.peek(key) {
        None => None,
        Some(entry) => Some(view_of::<Stream>(entry.value())?),
    };
    if let Some(reader) = &wanted.group {
        let found = stream.is_some_and(|stream| stream.group(reader.group).is_some());
        if !found {
            return Err(no_group_to_read(key, reader.group));
        }
    }
    wanted.from(order).map(drop)
}

pub(super) fn no_group_to_read(key: &[u8], group: &[u8]) -> CommandError {
    let line = no_group(key, group).line().into_owned();
    CommandError::text([&line[..], b" in XREADGROUP with GROUP option"].concat())
}

/// The reply over all streams while it is written: its header comes with the first stream that has something.
#[derive(Default)]
pub(super) struct Streams {
    header: Option<Deferred>,
    count: usize,
}

impl Streams {
    pub(super) fn begin(&mut self, reply: &mut Reply<'_>) {
        self.header.get_or_insert_with(|| reply.deferred());
        self.count += 1;
    }

    /// Writes the header; false when nothing was begun.
    pub(super) fn end(self, reply: &mut Reply<'_>) -> bool {
        let Some(header) = self.header else { return false };
        match reply.protocol {
            Protocol::Resp2 => reply.fill_array(header, self.count),
            Protocol::Resp3 => reply.fill_map(header, self.count),
        }
        true
    }
}

/// What comes before a stream's entries. Redis: in RESP3 the streams are a map, else pairs.
pub(super) fn begin_stream(key: &[u8], reply: &mut Reply<'_>) {
    if reply.protocol == Protocol::Resp2 {
        reply.array(2);
    }
    reply.bulk(key);
}

/// One stream's answer on its way to the coordinator.
pub(super) struct Answer {
    pub(super) order: usize,
    /// Its part of the reply; empty when it has nothing.
    pub(super) part: Output,
    pub(super) last_id: StreamId,
}

pub(super) fn finish(
    wanted: &Wanted<'_>,
    got: &mut Gathered,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let mut answers: Vec<Answer> = Vec::with_capacity(wanted.streams);
    for (_, part) in got.hops.pop().unwrap_or_default() {
        let Part::Gathered(part) = part else { unreachable!("the last hop returns answers") };
        answers.extend(*part.downcast::<Vec<Answer>>().expect("the last hop returns answers"));
    }
    answers.sort_unstable_by_key(|answer| answer.order);
    let mut streams = Streams::default();
    for answer in answers.iter_mut().filter(|answer| !answer.part.is_empty()) {
        streams.begin(reply);
        reply.out.append(&mut answer.part);
    }
    if streams.end(reply) {
        return Ok(Outcome::Done);
    }
    let latest: SmallVec<[StreamId; 4]> = answers.iter().map(|answer| answer.last_id).collect();
    Ok(wanted.nothing(&latest, reply))
}
