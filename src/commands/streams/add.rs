//! XADD and XSETID: the end of a stream.

use super::idmp::Sender;
use super::ids::strict_id;
use super::trim::{TrimOptions, trim};
use super::{node_limits, reply_id};
use crate::commands::collection::change;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::{Argv, Reply};
use crate::shard::Event;
use crate::types::number::parse_i64;
use crate::types::stream::{Fields, NODE_BYTES_MAX, Stream, StreamId};

const NOT_ABOVE: CommandError =
    CommandError::Line("ERR The ID specified in XADD is equal or smaller than the target stream top item");
const EXHAUSTED: CommandError =
    CommandError::Line("ERR The stream has exhausted the last possible ID, unable to add more items");

/// Fields and values where they lie in the request.
struct Strings<'a> {
    argv: Argv<'a>,
    first: usize,
}

impl<'a> Fields<'a> for Strings<'a> {
    fn count(&self) -> usize {
        (self.argv.len() - self.first) / 2
    }

    #[inline]
    fn name(&self, index: usize) -> &'a [u8] {
        self.argv.get(self.first + 2 * index)
    }

    #[inline]
    fn value(&self, index: usize) -> &'a [u8] {
        self.argv.get(self.first + 2 * index + 1)
    }
}

/// The id of a new entry as it was asked for.
#[derive(Clone, Copy, Debug)]
enum NewId {
    /// `*`.
    Auto,
    /// `ms-*`.
    Within(u64),
    Given(StreamId),
}

impl NewId {
    fn of(text: &[u8]) -> Result<NewId, CommandError> {
        if text == b"*" {
            return Ok(NewId::Auto);
        }
        if let Some(ms) = StreamId::parse_open(text) {
            return Ok(NewId::Within(ms));
        }
        strict_id(text, 0).map(NewId::Given)
    }

    /// The id it means after `last`.
    fn after(self, last: StreamId, now_ms: u64) -> Result<StreamId, CommandError> {
        if last == StreamId::MAX {
            return Err(EXHAUSTED);
        }
        let id = match self {
            NewId::Auto if now_ms > last.ms => Some(StreamId::new(now_ms, 0)),
            NewId::Auto => last.next(),
            NewId::Within(ms) if ms == last.ms => last.seq.checked_add(1).map(|seq| StreamId::new(ms, seq)),
            NewId::Within(ms) => Some(StreamId::new(ms, 0)),
            NewId::Given(id) => Some(id),
        };
        id.filter(|id| *id > last).ok_or(NOT_ABOVE)
    }
}

pub fn xadd(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let (mut options, mut create, mut sender) = (TrimOptions::default(), true, None);
    let new_id = loop {
        // Redis: `*` is looked for before the options, which cannot be ids.
        match args.peek() {
            None => return Err(CommandError::WrongArity("xadd")),
            Some(b"*") => {
                args.take()?;
                break NewId::Auto;
            }
            Some(first) if first[..].first().is_some_and(u8::is_ascii_digit) => {
                break NewId::of(args.take()?)?;
            }
            Some(_) if options.take(args)? => {}
            Some(_) if args.token("NOMKSTREAM") => create = false,
            Some(_) if Sender::option(args, &mut sender)? => {}
            Some(_) => break NewId::of(args.take()?)?,
        }
    };
    let trimming = options.finish(&ctx.shard.settings, true)?;
    let strings = Strings { argv: args.argv(), first: args.argv().len() - args.left() };
    if args.left() < 2 || args.left() % 2 == 1 {
        return Err(CommandError::WrongArity("xadd"));
    }
    if let NewId::Given(StreamId::MIN) = new_id {
        return Err(CommandError::Line("ERR The ID specified in XADD must be greater than 0-0"));
    }
    if sender.is_some() && !matches!(new_id, NewId::Auto) {
        return Err(CommandError::Line("ERR IDMP/IDMPAUTO can be used only with auto-generated IDs"));
    }
    let (limits, now_ms) = (node_limits(ctx), ctx.now_ms());
    let bytes: usize = args.rest().map(<[u8]>::len).sum();
    let (is_logged, mut trimmed) = (ctx.is_logged(), None);
    let added = change(&mut ctx.keys(), key, create, |stream: &mut Stream, note| {
        let mut add = |stream: &mut Stream| {
            let id = new_id.after(stream.last_id, now_ms)?;
            if bytes > NODE_BYTES_MAX {
                return Err(CommandError::Line("ERR Elements are too large to be stored"));
            }
            stream.append(id, &strings, limits);
            note.event(Event::XADD);
            let trim = |(how, refs)| trim(stream, how, refs, is_logged);
            let trimmed = trimmed.insert(trimming.map(trim).unwrap_or_default());
            if trimmed.removed > 0 {
                note.also(Event::XTRIM);
            }
            Ok(id)
        };
        match sender {
            None => add(stream),
            Some(sender) => sender.add_once(stream, &strings, now_ms, add),
        }
    })?;
    // The id, and what goes for the new entry, depend on time and on how the nodes lie.
    if let (Some(id), Some(trimmed)) = (added, &trimmed)
        && (matches!(new_id, NewId::Auto) || trimming.is_some())
    {
        ctx.say(|log, db| {
            let (text, mut digits) = (id.text(), itoa::Buffer::new());
            let mut words: Vec<&[u8]> = vec![b"XADD", key];
            if trimmed.removed > 0 && trimmed.is_front() {
                words.extend([&b"MAXLEN"[..], b"=", digits.format(trimmed.left).as_bytes()]);
            }
            words.push(text.as_bytes());
            words.extend((strings.first..strings.argv.len()).map(|at| strings.argv.get(at)));
            log.say(db, &words);
            trimmed.say(log, db, key, false);
        });
    }
    match added {
        Some(id) => reply_id(reply, id),
        None => reply.null(),
    }
    Ok(Outcome::Done)
}

pub fn xsetid(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let id = strict_id(args.take()?, 0)?;
    let (mut entries_added, mut max_deleted_id) = (None, StreamId::MIN);
    while !args.is_done() {
        let has_more = args.left() > 1;
        if has_more && args.token("ENTRIESADDED") {
            let added = parse_i64(args.take()?).ok_or(CommandError::NotInteger)?;
            let added =
                u64::try_from(added).map_err(|_| CommandError::Line("ERR entries_added must be positive"))?;
            entries_added = Some(added);
        } else if has_more && args.token("MAXDELETEDID") {
            max_deleted_id = strict_id(args.take()?, 0)?;
            if id < max_deleted_id {
                return Err(CommandError::Line(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
        } else {
            return Err(CommandError::Syntax);
        }
    }
    let set = change(&mut ctx.keys(), key, false, |stream: &mut Stream, note| {
        if let Some(last) = stream.log().last() {
            if id < last.id {
                return Err(CommandError::Line(
                    "ERR The ID specified in XSETID is smaller than the target stream top item",
                ));
            }
            if entries_added.is_some_and(|added| added < stream.entry_count()) {
                return Err(CommandError::Line(
                    "ERR The entries_added specified in XSETID is smaller than the target stream length",
                ));
            }
        }
        stream.last_id = id;
        if let Some(added) = entries_added {
            stream.entries_added = added;
        }
        if max_deleted_id != StreamId::MIN {
            stream.max_deleted_id = max_deleted_id;
        }
        note.event(Event::XSETID);
        Ok(())
    })?;
    set.ok_or(CommandError::NoSuchKey)?;
    reply.ok();
    Ok(Outcome::Done)
}
