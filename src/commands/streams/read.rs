//! XREAD and XREADGROUP: what is new, in several streams at once.
//!
//! With all keys on one shard the reply is written straight from the streams. Over several shards XREADGROUP looks on
//! all of them first, because reading changes its group and nothing may fail after that; then every owner answers for
//! its keys, and the answers are put in the order of the request. A limit of the whole reply ([`limits`](super::limits))
//! is shared out in the same way: first it is seen what every stream would give.

use smallvec::SmallVec;

use super::group::consumer_of;
use super::ids::strict_id;
use super::limits::{Budget, Limits};
use super::offer::{offers, shares};
use super::range::reply_entries;
use super::say::Delivery;
use super::{no_group, reply_entry, reply_fields, reply_id};
use crate::commands::block::{Block, LossFn, WaitFor, WhenOver, timeout_of_ms};
use crate::commands::collection::{change, read, view_of};
use crate::commands::spec::{Gathered, Hop, On};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Deferred, Output, Protocol, Reply, Request};
use crate::shard::{Event, Note};
use crate::types::Kind;
use crate::types::stream::{Entry, Group, Nack, Stream, StreamId};

pub const XREAD: &[Hop] =
    &[Hop { on: On::OwnersIf(is_limited), run: xread_look }, Hop { on: On::Owners, run: xread_each }];
pub const XREADGROUP: &[Hop] =
    &[Hop { on: On::Owners, run: xreadgroup_look }, Hop { on: On::Owners, run: xreadgroup_each }];

/// A request, its options read.
pub(super) struct Wanted<'a> {
    argv: Argv<'a>,
    /// Where the keys begin.
    keys_at: usize,
    streams: usize,
    /// Entries per stream.
    pub(super) count: usize,
    /// Limits of the reply over all streams.
    pub(super) limits: Limits,
    block_ms: Option<u64>,
    pub(super) group: Option<Reader<'a>>,
}

/// Who reads a group, and how.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) group: &'a [u8],
    pub(super) consumer: &'a [u8],
    no_ack: bool,
    /// Pending entries that waited so long are read before new ones.
    pub(super) claim_idle_ms: Option<u64>,
}

/// Where reading begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum From {
    After(StreamId),
    /// `$`: nothing that is there now.
    Latest,
    /// `+`: the last entry.
    Last,
    /// `>`: what the group was not given yet.
    New,
}

impl<'a> Wanted<'a> {
    fn take(argv: Argv<'a>, is_group: bool) -> Result<Wanted<'a>, CommandError> {
        let mut args = Args::new(argv, 1);
        let mut wanted = Wanted {
            argv,
            keys_at: 0,
            streams: 0,
            count: usize::MAX,
            limits: Limits::default(),
            block_ms: None,
            group: None,
        };
        let (mut no_ack, mut claim_idle_ms, mut group) = (false, None, None);
        while !args.is_done() {
            let more = args.left() - 1;
            if more > 0 && args.token("BLOCK") {
                wanted.block_ms = Some(timeout_of_ms(args.take()?)?);
            } else if more > 0 && args.token("COUNT") {
                // Redis: no count, and one that is not positive, is no limit.
                wanted.count = match args.int()? {
                    ..=0 => usize::MAX,
                    count => count as usize,
                };
            } else if more > 0 && args.token("MAXCOUNT") {
                wanted.limits.count = Some(positive(&mut args, MAXCOUNT_NOT_POSITIVE)?);
            } else if more > 0 && args.token("MAXSIZE") {
                wanted.limits.bytes = Some(positive(&mut args, MAXSIZE_NOT_POSITIVE)?);
            } else if more > 0 && args.token("STREAMS") {
                if !args.left().is_multiple_of(2) {
                    return Err(CommandError::Line(
                        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
                    ));
                }
                wanted.keys_at = argv.len() - args.left();
                wanted.streams = args.left() / 2;
                break;
            } else if more >= 2 && args.token("GROUP") {
                if !is_group {
                    return Err(CommandError::Line(
                        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                group = Some((args.take()?, args.take()?));
            } else if args.token("NOACK") {
                if !is_group {
                    return Err(CommandError::Line(
                        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                no_ack = true;
            } else if more > 0 && is_group && args.token("CLAIM") {
                let idle_ms = args.int().map_err(|_| CLAIM_NOT_INTEGER)?;
                claim_idle_ms = Some(u64::try_from(idle_ms).map_err(|_| CLAIM_NEGATIVE)?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if wanted.streams == 0 {
            return Err(CommandError::Syntax);
        }
        if is_group {
            let (group, consumer) =
                group.ok_or(CommandError::Line("ERR Missing GROUP option for XREADGROUP"))?;
            wanted.group = Some(Reader { group, consumer, no_ack, claim_idle_ms });
        }
        if wanted.count != usize::MAX && wanted.limits.count.is_some_and(|most| most < wanted.count) {
            return Err(CommandError::Line("ERR MAXCOUNT must be greater than or equal to COUNT"));
        }
        Ok(wanted)
    }

    pub(super) fn key(&self, order: usize) -> &'a [u8] {
        self.argv.get(self.keys_at + order)
    }

    pub(super) fn from(&self, order: usize) -> Result<From, CommandError> {
        match (self.argv.get(self.keys_at + self.streams + order), self.group.is_some()) {
            (b"$", true) => Err(CommandError::Line(
                "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                 consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return \
                 an empty result set.",
            )),
            (b"$", false) => Ok(From::Latest),
            (b">", true) => Ok(From::New),
            (b">", false) => Err(CommandError::Line(
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
            )),
            (b"+", false) => Ok(From::Last),
            (text, is_group) => match strict_id(text, 0)? {
                StreamId::MAX if is_group => Ok(From::New),
                id => Ok(From::After(id)),
            },
        }
    }

    /// What is answered, or waited for, when no stream has anything. `latest` holds the last id of every stream.
    fn nothing(&self, latest: &[StreamId], reply: &mut Reply<'_>) -> Outcome {
        let Some(timeout_ms) = self.block_ms else {
            reply.null_array();
            return Outcome::Done;
        };
        Outcome::Block(Box::new(Block {
            wait_for: WaitFor::Every,
            kind: Kind::Stream,
            on_loss: self.group.is_some().then_some(told_of_loss as LossFn),
            timeout_ms,
            when_over: WhenOver::NullArray,
            request: self.resolved(latest),
            narrow: Some(narrow),
        }))
    }

    /// The request with `$` and `+` replaced by what they mean now.
    fn resolved(&self, latest: &[StreamId]) -> Option<Request> {
        let ids_at = self.keys_at + self.streams;
        let is_open = |at: usize| at >= ids_at && matches!(self.argv.get(at), b"$" | b"+");
        if self.group.is_some() || !(ids_at..self.argv.len()).any(is_open) {
            return None;
        }
        let texts: Vec<_> = latest.iter().map(|id| id.text()).collect();
        let word = |at: usize| if is_open(at) { texts[at - ids_at].as_bytes() } else { self.argv.get(at) };
        Some((0..self.argv.len()).map(word).collect())
    }
}

/// The request for one of its streams.
fn narrow(argv: Argv<'_>, order: usize) -> Request {
    let is_group = argv.get(0).len() > b"xread".len();
    match Wanted::take(argv, is_group) {
        Ok(wanted) => {
            let own = [wanted.keys_at + order, wanted.keys_at + wanted.streams + order];
            (0..wanted.keys_at).chain(own).map(|at| argv.get(at)).collect()
        }
        Err(_) => unreachable!("a request that waits was read before"),
    }
}

/// Redis: somebody who waits for a group is told of its end, or of its stream's.
fn told_of_loss(ctx: &mut Ctx<'_>, argv: Argv<'_>, order: usize) -> Option<CommandError> {
    let wanted = Wanted::take(argv, true).ok()?;
    let mut keys = ctx.keys();
    let stream = keys.peek(wanted.key(order)).and_then(|entry| view_of::<Stream>(entry.value()).ok());
    let Some(stream) = stream else {
        return Some(CommandError::Line("UNBLOCKED the stream key no longer exists"));
    };
    let group = wanted.group.as_ref().and_then(|reader| stream.group(reader.group));
    group.is_none().then_some(CommandError::Line(
        "NOGROUP the consumer group this client was blocked on no longer exists",
    ))
}

const CLAIM_NOT_INTEGER: CommandError = CommandError::Line("ERR min-idle-time is not an integer");
const MAXCOUNT_NOT_POSITIVE: CommandError = CommandError::Line("ERR MAXCOUNT must be a positive integer");
const MAXSIZE_NOT_POSITIVE: CommandError = CommandError::Line("ERR MAXSIZE must be a positive integer");
const CLAIM_NEGATIVE: CommandError = CommandError::Line("ERR min-idle-time must be a positive integer");

fn positive(args: &mut Args<'_>, refusal: CommandError) -> Result<usize, CommandError> {
    usize::try_from(args.int()?).ok().filter(|number| *number > 0).ok_or(refusal)
}

/// The reply over all streams while it is written: its header comes with the first stream that has something.
#[derive(Default)]
struct Streams {
    header: Option<Deferred>,
    count: usize,
}

impl Streams {
    fn begin(&mut self, reply: &mut Reply<'_>) {
        self.header.get_or_insert_with(|| reply.deferred());
        self.count += 1;
    }

    /// Writes the header; false when nothing was begun.
    fn end(self, reply: &mut Reply<'_>) -> bool {
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

pub fn xread(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let wanted = Wanted::take(args.argv(), false)?;
    let mut streams = Streams::default();
    let mut latest: SmallVec<[StreamId; 4]> = SmallVec::new();
    if wanted.streams > 1 {
        (0..wanted.streams).try_for_each(|order| check(ctx, &wanted, order))?;
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

/// Refuses a key of another type, a group that is not there, and what is no id, in Redis's order.
fn check(ctx: &mut Ctx<'_>, wanted: &Wanted<'_>, order: usize) -> Result<(), CommandError> {
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

fn no_group_to_read(key: &[u8], group: &[u8]) -> CommandError {
    let line = no_group(key, group).line().into_owned();
    CommandError::text([&line[..], b" in XREADGROUP with GROUP option"].concat())
}

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

/// One stream's answer on its way to the coordinator.
struct Answer {
    order: usize,
    /// Its part of the reply; empty when it has nothing.
    part: Output,
    last_id: StreamId,
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

pub fn xread_finish(
    argv: Argv<'_>,
    got: &mut Gathered,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    finish(&Wanted::take(argv, false)?, got, reply)
}

pub fn xreadgroup_finish(
    argv: Argv<'_>,
    got: &mut Gathered,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    finish(&Wanted::take(argv, true)?, got, reply)
}

fn finish(wanted: &Wanted<'_>, got: &mut Gathered, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
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
