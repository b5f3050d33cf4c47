//! XINFO: what a stream, its groups and their consumers look like.

use super::range::reply_entries;
use super::{no_group_of, reply_entry, reply_help, reply_id};
use crate::commands::collection::read;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::types::stream::{Group, Stream, StreamId};

/// How many entries and pending entries FULL shows unless COUNT says otherwise.
const FULL_COUNT: usize = 10;

const HELP: [&str; 6] = [
    "CONSUMERS <key> <groupname>",
    "    Show consumers of <groupname>.",
    "GROUPS <key>",
    "    Show the stream consumer groups.",
    "STREAM <key> [FULL [COUNT <count>]",
    "    Show information about the stream.",
];

pub fn stream(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let mut keys = ctx.keys();
    let stream = read::<Stream>(&mut keys, key)?.ok_or(CommandError::NoSuchKey)?;
    if args.is_done() {
        brief(stream, reply);
        return Ok(Outcome::Done);
    }
    let syntax_error = || {
        CommandError::quoting(
            "ERR unknown subcommand or wrong number of arguments for '",
            args.argv().get(1),
            "'. Try XINFO HELP.",
        )
    };
    let mut options = *args;
    let takes = options.token("FULL") && matches!(options.left(), 0 | 2);
    if !takes {
        return Err(syntax_error());
    }
    let mut count = FULL_COUNT;
    if !options.is_done() {
        if !options.token("COUNT") {
            return Err(syntax_error());
        }
        count = match options.int()? {
            0 => usize::MAX,
            count => usize::try_from(count).unwrap_or(FULL_COUNT),
        };
    }
    full(stream, count, reply);
    Ok(Outcome::Done)
}

fn head(stream: &Stream, reply: &mut Reply<'_>) {
    reply.bulk(b"length");
    reply.int(stream.entry_count() as i64);
    let nodes = stream.log().node_count();
    reply.bulk(b"radix-tree-keys");
    reply.int(nodes as i64);
    // There is no such tree here: what the simplest one of so many keys would have.
    reply.bulk(b"radix-tree-nodes");
    reply.int(nodes as i64 + 1);
    for (name, id) in [("last-generated-id", stream.last_id), ("max-deleted-entry-id", stream.max_deleted_id)]
    {
        reply.bulk(name.as_bytes());
        reply_id(reply, id);
    }
    reply.bulk(b"entries-added");
    reply.int(stream.entries_added as i64);
    reply.bulk(b"recorded-first-entry-id");
    reply_id(reply, stream.first_id());
    let Some(idmp) = stream.idmp() else { return };
    for (name, count) in [
        ("idmp-duration", u64::from(idmp.duration_seconds)),
        ("idmp-maxsize", u64::from(idmp.max_size)),
        ("pids-tracked", idmp.producer_count() as u64),
        ("iids-tracked", idmp.name_count() as u64),
        ("iids-added", idmp.added),
        ("iids-duplicates", idmp.duplicates),
    ] {
        reply.bulk(name.as_bytes());
        reply.int(count as i64);
    }
}

/// How many pairs [`head`] writes. Redis 8.6 tells of producers too: here only when there are any, so that other
/// streams look as in 7.0.
fn head_pairs(stream: &Stream) -> usize {
    if stream.idmp().is_some() { 13 } else { 7 }
}

fn brief(stream: &Stream, reply: &mut Reply<'_>) {
    reply.map(head_pairs(stream) + 3);
    head(stream, reply);
    reply.bulk(b"groups");
    reply.int(stream.groups().len() as i64);
    for (name, entry) in [("first-entry", stream.log().first()), ("last-entry", stream.log().last())] {
        reply.bulk(name.as_bytes());
        match entry {
            Some(entry) => reply_entry(reply, &entry),
            None => reply.null(),
        }
    }
}

fn full(stream: &Stream, count: usize, reply: &mut Reply<'_>) {
    reply.map(head_pairs(stream) + 2);
    head(stream, reply);
    reply.bulk(b"entries");
    reply_entries(reply, stream.log().range(StreamId::MIN, StreamId::MAX).take(count));
    reply.bulk(b"groups");
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply.map(7);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"last-delivered-id");
        reply_id(reply, group.last_id);
        counters(stream, group, reply);
        reply.bulk(b"pel-count");
        reply.int(group.pending().len() as i64);
        reply.bulk(b"pending");
        reply.array(group.pending().len().min(count));
        for (id, nack) in group.pending().iter().take(count) {
            reply.array(4);
            reply_id(reply, *id);
            reply.bulk(group.owner_name(nack));
            reply.int(nack.delivered_at_ms);
            reply.int(nack.delivery_count as i64);
        }
        reply.bulk(b"consumers");
        reply.array(group.consumer_count());
        for consumer in group.consumers() {
            reply.map(4);
            reply.bulk(b"name");
            reply.bulk(&consumer.name);
            reply.bulk(b"seen-time");
            reply.int(consumer.seen_at_ms);
            reply.bulk(b"pel-count");
            reply.int(consumer.pending.len() as i64);
            reply.bulk(b"pending");
            reply.array(consumer.pending.len().min(count));
            for id in consumer.pending.iter().take(count) {
                let nack = &group.pending()[id];
                reply.array(3);
                reply_id(reply, *id);
                reply.int(nack.delivered_at_ms);
                reply.int(nack.delivery_count as i64);
            }
        }
    }
}

/// What a group has read, and what it has still to read.
fn counters(stream: &Stream, group: &Group, reply: &mut Reply<'_>) {
    for (name, count) in [("entries-read", group.entries_read), ("lag", stream.lag(group))] {
        reply.bulk(name.as_bytes());
        match count {
            Some(count) => reply.int(count as i64),
            None => reply.null(),
        }
    }
}

pub fn groups(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let mut keys = ctx.keys();
    let stream = read::<Stream>(&mut keys, args.take()?)?.ok_or(CommandError::NoSuchKey)?;
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"consumers");
        reply.int(group.consumer_count() as i64);
        reply.bulk(b"pending");
        reply.int(group.pending().len() as i64);
        reply.bulk(b"last-delivered-id");
        reply_id(reply, group.last_id);
        counters(stream, group, reply);
    }
    Ok(Outcome::Done)
}

pub fn consumers(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, name) = (args.take()?, args.take()?);
    let now_ms = ctx.now_ms();
    let mut keys = ctx.keys();
    let stream = read::<Stream>(&mut keys, key)?.ok_or(CommandError::NoSuchKey)?;
    let group = stream.group(name).ok_or_else(|| no_group_of(key, name))?;
    reply.array(group.consumer_count());
    for consumer in group.consumers() {
        reply.map(3);
        reply.bulk(b"name");
        reply.bulk(&consumer.name);
        reply.bulk(b"pending");
        reply.int(consumer.pending.len() as i64);
        reply.bulk(b"idle");
        reply.int((now_ms as i64).saturating_sub(consumer.seen_at_ms).max(0));
    }
    Ok(Outcome::Done)
}

pub fn help(_: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    reply_help(reply, "XINFO", &HELP);
    Ok(Outcome::Done)
}
