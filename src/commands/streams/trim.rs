//! MAXLEN and MINID: how XADD and XTRIM shorten a stream, and what becomes of references to what goes.

use super::ids::strict_id;
use super::say::{Forgotten, say_ids};
use crate::commands::collection::change;
use crate::commands::sliced::{Changing, STEP_ELEMENTS, Step};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::log::Log;
use crate::shard::{Event, Settings};
use crate::types::number::parse_i64;
use crate::types::stream::{Stream, StreamId, Threshold, Trim};
use crate::types::{Collection, DbIndex, Value};

/// The most entries that trimming by whole nodes removes in one command, unless LIMIT says otherwise.
const LIMIT_MAX: u64 = 1_000_000;
/// The same when nodes have no limit of entries.
const LIMIT_OF_UNLIMITED: u64 = 10_000;

const LIMIT_WITHOUT_TILDE: CommandError =
    CommandError::Line("ERR syntax error, LIMIT cannot be used without the special ~ option");

/// What becomes of pending entries that refer to what is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Refs {
    /// They stay.
    #[default]
    Keep,
    /// They go too.
    Delete,
    /// Only what every group has read and acknowledged is deleted.
    Acked,
}

impl Refs {
    /// Takes the option if it comes next.
    pub fn option(args: &mut Args<'_>) -> Option<Refs> {
        if args.token("KEEPREF") {
            Some(Refs::Keep)
        } else if args.token("DELREF") {
            Some(Refs::Delete)
        } else if args.token("ACKED") {
            Some(Refs::Acked)
        } else {
            None
        }
    }
}

/// The trimming options as they come in.
#[derive(Default, Debug)]
pub struct TrimOptions {
    threshold: Option<Threshold>,
    approximate: bool,
    limit: Option<u64>,
    refs: Option<Refs>,
}

impl TrimOptions {
    /// Takes one option. False when what comes next is none.
    pub fn take(&mut self, args: &mut Args<'_>) -> Result<bool, CommandError> {
        let has_more = args.left() > 1;
        if has_more && args.token("MAXLEN") {
            self.threshold_follows(args)?;
            let most = parse_i64(args.take()?).ok_or(CommandError::NotInteger)?;
            let most = u64::try_from(most)
                .map_err(|_| CommandError::Line("ERR The MAXLEN argument must be >= 0."))?;
            self.threshold = Some(Threshold::MaxLen(most));
        } else if has_more && args.token("MINID") {
            self.threshold_follows(args)?;
            self.threshold = Some(Threshold::MinId(strict_id(args.take()?, 0)?));
        } else if has_more && args.token("LIMIT") {
            let limit = args.int()?;
            let limit = u64::try_from(limit)
                .map_err(|_| CommandError::Line("ERR The LIMIT argument must be >= 0."))?;
            self.limit = Some(limit);
        } else if let Some(refs) = Refs::option(args) {
            if self.refs.replace(refs).is_some_and(|before| before != refs) {
                return Err(CommandError::Syntax);
            }
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn threshold_follows(&mut self, args: &mut Args<'_>) -> Result<(), CommandError> {
        if self.threshold.is_some() {
            return Err(CommandError::Line(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        if args.left() > 1 {
            self.approximate = args.token("~");
            if !self.approximate {
                args.token("=");
            }
        }
        Ok(())
    }

    /// What they ask for together; `None` when they do not ask for trimming.
    ///
    /// Redis: who repeats a log does not look at LIMIT, which its logs have where it makes no sense.
    pub fn finish(&self, settings: &Settings, is_add: bool) -> Result<Option<(Trim, Refs)>, CommandError> {
        let refs = self.refs.unwrap_or_default();
        let node_entries = settings.encodings.stream_node_entries;
        let Some(threshold) = self.threshold else {
            return match self.limit {
                Some(0) if is_add => Err(LIMIT_WITHOUT_TILDE),
                None | Some(0) => Ok(None),
                Some(_) => Err(CommandError::Line(
                    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
                )),
            };
        };
        let limit = match self.limit {
            _ if settings.replaying => 0,
            Some(_) if !self.approximate => return Err(LIMIT_WITHOUT_TILDE),
            Some(limit) => limit,
            None if !self.approximate => 0,
            None if node_entries == 0 => LIMIT_OF_UNLIMITED,
            None => (100 * node_entries as u64).min(LIMIT_MAX),
        };
        Ok(Some((Trim { threshold, approximate: self.approximate, limit }, refs)))
    }
}

/// What trimming did.
#[derive(Default)]
pub struct Trimmed {
    /// How many entries went.
    pub removed: u64,
    /// How many are left.
    pub left: u64,
    /// Those that went from between others.
    between: Vec<StreamId>,
    forgotten: Forgotten,
}

impl Trimmed {
    /// Did all that went stand before all that is left?
    pub fn is_front(&self) -> bool {
        self.between.is_empty()
    }

    /// Says what is repeated, after the entries themselves if `front_too`.
    pub fn say(&self, log: &mut Log, db: DbIndex, key: &[u8], front_too: bool) {
        if front_too && self.is_front() && self.removed > 0 {
            let mut digits = itoa::Buffer::new();
            log.say(db, &[b"XTRIM", key, b"MAXLEN", b"=", digits.format(self.left).as_bytes()]);
        }
        say_ids(log, db, &[b"XDEL", key], &self.between);
        self.forgotten.say(log, db, key);
    }
}

/// Trims. What is needed to say it is gathered only if it `is_logged`.
pub fn trim(stream: &mut Stream, trim: Trim, refs: Refs, is_logged: bool) -> Trimmed {
    let mut trimmed = Trimmed::default();
    if refs == Refs::Acked && !stream.groups().is_empty() {
        let done = trim_acked(stream, trim);
        trimmed.removed = done.len() as u64;
        let front = if stream.entry_count() > 0 { stream.first_id() } else { StreamId::MAX };
        if done.last().is_some_and(|last| *last > front) {
            trimmed.between = done;
        }
    } else {
        let first = stream.first_id();
        trimmed.removed = stream.trim(trim);
        if trimmed.removed > 0 && refs == Refs::Delete {
            let left = if stream.entry_count() > 0 { stream.first_id() } else { StreamId::MAX };
            if is_logged {
                trimmed.forgotten.note(stream, first..left);
            }
            stream.forget_range(first, left);
        }
    }
    trimmed.left = stream.entry_count();
    trimmed
}

/// Goes over what would be trimmed and leaves what a group still refers to.
fn trim_acked(stream: &mut Stream, trim: Trim) -> Vec<StreamId> {
    let most = if trim.limit > 0 { trim.limit as usize } else { usize::MAX };
    let mut keep = match trim.threshold {
        Threshold::MaxLen(most) => stream.entry_count().saturating_sub(most),
        Threshold::MinId(_) => u64::MAX,
    };
    let mut done = Vec::new();
    for id in stream.trimmable(trim).take(most) {
        if keep == 0 {
            break;
        }
        if stream.is_done_with(id) {
            done.push(id);
            keep -= 1;
        }
    }
    stream.remove(&done);
    done
}

/// XTRIM of many entries, in slices.
struct Trimming {
    key: Box<[u8]>,
    how: Trim,
    removed: u64,
    left: u64,
}

/// Entries are dropped by whole nodes, so a step may drop as many as this for each element that it should touch.
const DROPPED_PER_ELEMENT: u64 = 16;

impl Changing for Trimming {
    fn step(&mut self, value: &mut Value, elements: usize, _: &mut Reply<'_>) -> Step {
        let stream = Stream::of_mut(value).expect("it was a stream when it was pinned");
        let limit = elements.min(STEP_ELEMENTS) as u64 * DROPPED_PER_ELEMENT;
        let mut removed = stream.trim(Trim { approximate: true, limit, ..self.how });
        let is_last = removed == 0;
        if is_last {
            // What is left of it is within a node.
            removed = stream.trim(self.how);
            self.left = stream.entry_count();
        }
        self.removed += removed;
        if is_last { Step::Done } else { Step::More }
    }

    fn finish(&mut self, ctx: &mut Ctx<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        let Trimming { key, how, removed, left } = self;
        let is_there = change(&mut ctx.keys(), key, false, |_: &mut Stream, note| {
            if *removed > 0 {
                note.events_of(Event::XTRIM, *removed);
            }
            Ok(())
        })?;
        if is_there.is_some() && *removed > 0 && how.approximate {
            let trimmed = Trimmed { removed: *removed, left: *left, ..Trimmed::default() };
            ctx.say(|log, db| trimmed.say(log, db, key, true));
        }
        reply.int(*removed as i64);
        Ok(())
    }
}

pub fn xtrim(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let mut options = TrimOptions::default();
    while !args.is_done() {
        if !options.take(args)? {
            return Err(CommandError::Syntax);
        }
    }
    let (how, refs) = options
        .finish(&ctx.shard.settings, false)?
        .ok_or(CommandError::Line("ERR syntax error, XTRIM must be called with a trimming strategy"))?;
    let is_logged = ctx.is_logged();
    let above = ctx.shard.settings.slices_above as u64;
    if refs == Refs::Keep
        && how.limit == 0
        && ctx.of_big(key, |stream: &Stream| stream.would_trim_more_than(how, above)) == Some(true)
    {
        return ctx.change_in_slices(key, Trimming { key: key.into(), how, removed: 0, left: 0 });
    }
    let trimmed = change(&mut ctx.keys(), key, false, |stream: &mut Stream, note| {
        let trimmed = trim(stream, how, refs, is_logged);
        if trimmed.removed > 0 {
            note.events_of(Event::XTRIM, trimmed.removed);
        }
        Ok(trimmed)
    })?;
    let trimmed = trimmed.unwrap_or_default();
    // Whole nodes are not the same ones elsewhere.
    if trimmed.removed > 0 && (how.approximate || refs != Refs::Keep) {
        ctx.say(|log, db| trimmed.say(log, db, key, true));
    }
    reply.int(trimmed.removed as i64);
    Ok(Outcome::Done)
}
