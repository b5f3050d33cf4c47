//! XLEN, XRANGE, XREVRANGE, XDEL: a stream as a sequence of entries.

use super::ids::{interval_end, interval_start, rest_of_ids};
use super::read::{Streams, begin_stream};
use super::reply_entry;
use crate::commands::collection::{change, read};
use crate::commands::sliced::{STEP_ELEMENTS, Sliced, Step, Values, is_full};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::Event;
use crate::types::Collection;
use crate::types::stream::{Entry, Stream, StreamId};

pub fn xlen(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let len = read::<Stream>(&mut ctx.keys(), args.take()?)?.map_or(0, Stream::entry_count);
    reply.int(len as i64);
    Ok(Outcome::Done)
}

pub fn xrange(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    ranged(ctx, args, reply, false)
}

pub fn xrevrange(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    ranged(ctx, args, reply, true)
}

fn ranged(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
    backwards: bool,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let (first, second) = (args.take()?, args.take()?);
    let (start, end) = if backwards { (second, first) } else { (first, second) };
    let (start, end) = (interval_start(start)?, interval_end(end)?);
    let mut count = None;
    while !args.is_done() {
        if args.left() < 2 || !args.token("COUNT") {
            return Err(CommandError::Syntax);
        }
        count = Some(args.int()?.max(0) as usize);
    }
    let above = ctx.shard.settings.slices_above;
    let mut keys = ctx.keys();
    let Some(stream) = read::<Stream>(&mut keys, key)? else {
        reply.array(0);
        return Ok(Outcome::Done);
    };
    let most = count.unwrap_or(usize::MAX);
    if most == 0 {
        reply.null_array();
        return Ok(Outcome::Done);
    }
    // One more than are shown at one go tells that it is much.
    let now = most.min(above.saturating_add(1));
    let shown = if backwards {
        reply_entries(reply, stream.log().range_rev(start, end).take(now))
    } else {
        reply_entries(reply, stream.log().range(start, end).take(now))
    };
    if shown <= above {
        return Ok(Outcome::Done);
    }
    ctx.in_slices(key, Range { of: None, rest: Some((start, end)), backwards, left: most, shown: 0 })
}

/// An array of entries; how many.
#[inline]
pub fn reply_entries<'a>(reply: &mut Reply<'_>, entries: impl Iterator<Item = Entry<'a>>) -> usize {
    let header = reply.deferred();
    let mut count = 0;
    for entry in entries {
        reply_entry(reply, &entry);
        count += 1;
    }
    reply.fill_array(header, count);
    count
}

/// A long range, in slices.
pub struct Range {
    /// XREAD: the stream whose entries come under its key.
    of: Option<Box<[u8]>>,
    /// Nothing at the end.
    rest: Option<(StreamId, StreamId)>,
    backwards: bool,
    left: usize,
    shown: usize,
}

impl Range {
    /// What XREAD shows of one stream, from an id on.
    pub fn of_stream(key: &[u8], start: StreamId, most: usize) -> Range {
        Range {
            of: Some(key.into()),
            rest: Some((start, StreamId::MAX)),
            backwards: false,
            left: most,
            shown: 0,
        }
    }
}

impl Sliced for Range {
    fn step(
        &mut self,
        values: Values<'_>,
        elements: usize,
        reply: &mut Reply<'_>,
    ) -> Result<Step, CommandError> {
        let log = Stream::of(values.first()?).ok_or(CommandError::WrongType)?.log();
        let Some((start, end)) = self.rest else { return Ok(Step::Done) };
        let count = elements.min(STEP_ELEMENTS).min(self.left);
        let (mut shown, mut last) = (0, None);
        let mut show = |entry: &Entry<'_>| {
            reply_entry(reply, entry);
            (shown, last) = (shown + 1, Some(entry.id));
            shown < count && !is_full(reply)
        };
        if self.backwards {
            log.range_rev(start, end).all(|entry| show(&entry));
        } else {
            log.range(start, end).all(|entry| show(&entry));
        }
        self.shown += shown;
        self.left -= shown;
        self.rest = match (last, self.backwards) {
            _ if self.left == 0 => None,
            (None, _) => None,
            (Some(last), false) => last.next().map(|next| (next, end)),
            (Some(last), true) => last.previous().map(|previous| (start, previous)),
        };
        Ok(if self.rest.is_none() { Step::Done } else { Step::More })
    }

    fn head(&self, reply: &mut Reply<'_>) {
        if let Some(key) = &self.of {
            let mut streams = Streams::default();
            streams.begin(reply);
            begin_stream(key, reply);
            streams.end(reply);
        }
        reply.array(self.shown);
    }
}

pub fn xdel(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    // Redis: ids are read only when there is a stream, but all before the first is deleted.
    let deleted = change(&mut ctx.keys(), key, false, |stream: &mut Stream, note| {
        let ids = rest_of_ids(args)?;
        let deleted = ids.iter().filter(|id| stream.delete(**id)).count();
        if deleted > 0 {
            note.events_of(Event::XDEL, deleted as u64);
        }
        Ok(deleted)
    })?;
    reply.int(deleted.unwrap_or(0) as i64);
    Ok(Outcome::Done)
}
