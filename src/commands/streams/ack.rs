//! XACK and its relatives: what was delivered is done with, or given back.

use smallvec::SmallVec;

use super::ids::{counted_ids, rest_of_ids};
use super::no_group;
use super::say::{Forgotten, say_ids};
use super::trim::Refs;
use crate::commands::collection::change;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::log::Log;
use crate::shard::{Event, Note};
use crate::types::DbIndex;
use crate::types::stream::{NOBODY, Nack, Stream, StreamId};

/// What XDELEX and XACKDEL answer for an id.
const NO_SUCH_ID: i64 = -1;
const DELETED: i64 = 1;
const STILL_REFERRED_TO: i64 = 2;

/// The delivery count of what shall never be delivered again.
const FATAL_COUNT: u64 = i64::MAX as u64;

pub fn xack(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, group) = (args.take()?, args.take()?);
    let acknowledged = change(&mut ctx.keys(), key, false, |stream: &mut Stream, note| {
        let Some(edit) = stream.edit_group(group) else { return Ok(0) };
        let ids = rest_of_ids(args)?;
        let acknowledged = ids.iter().filter(|id| edit.group.acknowledge(**id)).count();
        if acknowledged > 0 {
            note.events_of(Event::XACK, acknowledged as u64);
        }
        Ok(acknowledged)
    })?;
    reply.int(acknowledged.unwrap_or(0) as i64);
    Ok(Outcome::Done)
}

/// `[KEEPREF | DELREF | ACKED] IDS numids id [id ...]`
fn refs_and_ids(args: &mut Args<'_>) -> Result<(Refs, SmallVec<[StreamId; 16]>), CommandError> {
    let (mut refs, mut ids) = (None, None);
    while !args.is_done() {
        if let Some(option) = Refs::option(args) {
            if refs.replace(option).is_some() {
                return Err(CommandError::Syntax);
            }
        } else if ids.is_none() && args.token("IDS") {
            ids = Some(counted_ids(args)?);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok((refs.unwrap_or_default(), ids.ok_or(CommandError::Syntax)?))
}

/// What went, to be said.
#[derive(Default)]
struct Gone {
    is_logged: bool,
    acknowledged: Vec<StreamId>,
    deleted: Vec<StreamId>,
    forgotten: Forgotten,
}

impl Gone {
    fn say(&self, log: &mut Log, db: DbIndex, key: &[u8], group: &[u8]) {
        say_ids(log, db, &[b"XACK", key, group], &self.acknowledged);
        say_ids(log, db, &[b"XDEL", key], &self.deleted);
        self.forgotten.say(log, db, key);
    }
}

/// Deletes an entry unless it is still referred to and must not be.
fn delete_with_refs(stream: &mut Stream, id: StreamId, refs: Refs, gone: &mut Gone) -> i64 {
    if stream.log().get(id).is_none() {
        return NO_SUCH_ID;
    }
    if refs == Refs::Acked && !stream.is_done_with(id) {
        return STILL_REFERRED_TO;
    }
    stream.delete(id);
    if gone.is_logged {
        gone.deleted.push(id);
        if refs == Refs::Delete {
            gone.forgotten.note(stream, id..=id);
        }
    }
    if refs == Refs::Delete {
        stream.forget(id);
    }
    DELETED
}

fn note_deleted(note: &mut Note, results: &[i64]) {
    let deleted = results.iter().filter(|result| **result == DELETED).count();
    if deleted > 0 {
        note.events_of(Event::XDEL, deleted as u64);
    }
}

fn reply_results(reply: &mut Reply<'_>, results: Option<SmallVec<[i64; 16]>>, ids: usize) {
    reply.array(ids);
    match results {
        Some(results) => results.iter().for_each(|result| reply.int(*result)),
        None => (0..ids).for_each(|_| reply.int(NO_SUCH_ID)),
    }
}

pub fn xdelex(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let (refs, ids) = refs_and_ids(args)?;
    let mut gone = Gone { is_logged: ctx.is_logged(), ..Gone::default() };
    let results = change(&mut ctx.keys(), key, false, |stream: &mut Stream, note| {
        let results: SmallVec<[i64; 16]> =
            ids.iter().map(|id| delete_with_refs(stream, *id, refs, &mut gone)).collect();
        note_deleted(note, &results);
        Ok(results)
    })?;
    ctx.say(|log, db| gone.say(log, db, key, b""));
    reply_results(reply, results, ids.len());
    Ok(Outcome::Done)
}

pub fn xackdel(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, group) = (args.take()?, args.take()?);
    let (refs, ids) = refs_and_ids(args)?;
    let mut gone = Gone { is_logged: ctx.is_logged(), ..Gone::default() };
    let results = change(&mut ctx.keys(), key, false, |stream: &mut Stream, note| {
        let mut acknowledged = 0;
        let mut results: SmallVec<[i64; 16]> = SmallVec::with_capacity(ids.len());
        for &id in &ids {
            let was_pending = stream.edit_group(group).is_some_and(|edit| edit.group.acknowledge(id));
            acknowledged += u64::from(was_pending);
            if was_pending && gone.is_logged {
                gone.acknowledged.push(id);
            }
            results.push(match was_pending {
                false => NO_SUCH_ID,
                // What is gone already is as good as deleted.
                true => match delete_with_refs(stream, id, refs, &mut gone) {
                    NO_SUCH_ID => DELETED,
                    result => result,
                },
            });
        }
        if acknowledged > 0 {
            note.events_of(Event::XACK, acknowledged);
        }
        note_deleted(note, &results);
        Ok(results)
    })?;
    ctx.say(|log, db| gone.say(log, db, key, group));
    reply_results(reply, results, ids.len());
    Ok(Outcome::Done)
}

/// How XNACK changes the count of deliveries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The delivery did not count.
    Silent,
    Fail,
    /// It shall never be delivered again.
    Fatal,
}

pub fn xnack(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, group_name) = (args.take()?, args.take()?);
    let mode = match () {
        () if args.token("SILENT") => Mode::Silent,
        () if args.token("FAIL") => Mode::Fail,
        () if args.token("FATAL") => Mode::Fatal,
        () => return Err(CommandError::Syntax),
    };
    if !args.token("IDS") {
        return Err(CommandError::Syntax);
    }
    let ids = counted_ids(args)?;
    let (mut retry_count, mut force) = (None, false);
    while !args.is_done() {
        if args.token("FORCE") {
            force = true;
        } else if args.left() > 1 && args.token("RETRYCOUNT") {
            let count = u64::try_from(args.int()?);
            retry_count = Some(count.map_err(|_| CommandError::OutOfRange)?);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let released = change(&mut ctx.keys(), key, false, |stream: &mut Stream, note| {
        let edit = stream.edit_group(group_name).ok_or_else(|| no_group(key, group_name))?;
        let mut released = 0;
        for &id in &ids {
            let before = match edit.group.pending().get(&id) {
                Some(nack) => Some(nack.delivery_count),
                None if force && edit.log.get(id).is_some() => None,
                None => continue,
            };
            let delivery_count = match (retry_count, mode, before) {
                (Some(count), ..) => count,
                (None, Mode::Fatal, _) => FATAL_COUNT,
                (None, _, None) => 0,
                (None, Mode::Silent, Some(count)) => count.saturating_sub(1),
                (None, Mode::Fail, Some(count)) => count,
            };
            edit.group.deliver(id, Nack { consumer: NOBODY, delivered_at_ms: 0, delivery_count });
            released += 1;
        }
        if released > 0 {
            note.events_of(Event::XNACK, released);
        }
        Ok(released)
    })?;
    let released = released.ok_or_else(|| no_group(key, group_name))?;
    if released > 0 {
        // Other servers could not be told, and the stream may be long.
        let argv = args.argv();
        ctx.say(|log, db| log.say_all(db, argv.iter()));
    }
    reply.int(released as i64);
    Ok(Outcome::Done)
}
