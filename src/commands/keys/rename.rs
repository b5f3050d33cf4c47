//! RENAME, RENAMENX, COPY, MOVE: keys that change their name or database.
//!
//! The first two names may have different owners, so these run in hops: *look* on both owners, where alone they can
//! fail; *take* (or copy) on the source's; *put* on the destination's. The value moves, it is not copied, and the
//! source loses it only when nothing can stop the destination from getting it.

use super::options::{c_int, db_index};
use crate::commands::sliced::{STEP_ELEMENTS, Sliced, Step, Values};
use crate::commands::spec::{FinishFn, Gathered, Hop, On};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Reply};
use crate::shard::{Event, Moved, Shard, ValueView};
use crate::types::raw::table::TakenValue;
use crate::types::{DbIndex, Value};

/// The orders of the two keys.
const SOURCE: usize = 0;
const DESTINATION: usize = 1;

pub const RENAME: &[Hop] = &[
    Hop { on: On::Owners, run: rename_look },
    Hop { on: On::Key(SOURCE), run: rename_take },
    Hop { on: On::Key(DESTINATION), run: rename_put },
];
pub const RENAMENX: &[Hop] = &[
    Hop { on: On::Owners, run: renamenx_look },
    Hop { on: On::Key(SOURCE), run: rename_take },
    Hop { on: On::Key(DESTINATION), run: rename_put },
];
pub const COPY: &[Hop] = &[
    Hop { on: On::Owners, run: copy_look },
    Hop { on: On::Key(SOURCE), run: copy_take },
    Hop { on: On::Key(DESTINATION), run: copy_put },
];

/// Redis: a name that stays the same is fine when the key exists, and changes nothing.
fn rename_look(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    let mut keys = ctx.keys();
    if mine.contains(&SOURCE) && keys.find_to_write(argv.get(1)).is_none() {
        return Err(CommandError::NoSuchKey);
    }
    if argv.get(1) == argv.get(2) {
        return Ok(Part::Stop);
    }
    if mine.contains(&DESTINATION) {
        // One that is due leaves as expired, before it could be overwritten.
        keys.exists(argv.get(2));
    }
    Ok(Part::Nothing)
}

fn renamenx_look(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    match rename_look(ctx, argv, mine, got)? {
        Part::Nothing if mine.contains(&DESTINATION) && ctx.keys().exists(argv.get(2)) => Ok(Part::Stop),
        part => Ok(part),
    }
}

fn rename_take(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    // It may have expired, or been evicted, since it was looked at: intents hold back commands only.
    let Some(moved) = ctx.keys().take(argv.get(1), Event::RENAME_FROM) else {
        return Err(CommandError::NoSuchKey);
    };
    one_change(ctx.shard);
    Ok(Part::Moved(Some(Box::new(moved))))
}

fn rename_put(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    ctx.keys().put(argv.get(2), taken(got), Event::RENAME_TO);
    Ok(Part::Nothing)
}

/// Redis: leaving and arriving are one change together.
fn one_change(shard: &mut Shard) {
    shard.effects.dirty -= 1;
}

/// What the hop before took.
fn taken(got: &mut Gathered) -> Moved {
    let last = got.hops.len() - 1;
    match std::mem::take(got.only(last)) {
        Part::Moved(Some(moved)) => *moved,
        _ => unreachable!("the hop before returns what it took, or ends the command"),
    }
}

/// True when no hop was left out.
fn went_through(got: &Gathered, hops: &[Hop]) -> bool {
    got.hops.len() == hops.len()
}

pub const RENAME_FINISH: FinishFn = |_, _, reply| {
    reply.ok();
    Ok(Outcome::Done)
};

pub const RENAMENX_FINISH: FinishFn = |_, got, reply| {
    reply.int(i64::from(went_through(got, RENAMENX)));
    Ok(Outcome::Done)
};

/// The options of COPY.
struct CopyOptions {
    db: DbIndex,
    replace: bool,
}

impl CopyOptions {
    fn take(ctx: &Ctx<'_>, argv: Argv<'_>) -> Result<CopyOptions, CommandError> {
        let mut args = Args::new(argv, 3);
        let mut options = CopyOptions { db: ctx.db, replace: false };
        while !args.is_done() {
            let has_value = args.left() >= 2;
            if args.token("replace") {
                options.replace = true;
            } else if has_value && args.token("db") {
                options.db = db_index(c_int(&mut args)?, ctx.shard)?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if options.db == ctx.db && argv.get(1) == argv.get(2) {
            return Err(CommandError::SameObject);
        }
        Ok(options)
    }
}

fn copy_look(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    let options = CopyOptions::take(ctx, argv)?;
    if mine.contains(&SOURCE) && ctx.keys().read(argv.get(1)).is_none() {
        return Ok(Part::Stop);
    }
    if mine.contains(&DESTINATION) {
        let touch = !ctx.client.no_touch;
        let exists = ctx.shard.keyspace(options.db, touch).find_to_write(argv.get(2)).is_some();
        if exists && !options.replace {
            return Ok(Part::Stop);
        }
    }
    Ok(Part::Nothing)
}

/// All of it, on the shard that has both keys.
pub fn copy(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (argv, mut got) = (args.argv(), Gathered::default());
    if let Part::Stop = copy_look(ctx, argv, &[SOURCE, DESTINATION], &mut got)? {
        reply.int(0);
        return Ok(Outcome::Done);
    }
    let to = (CopyOptions::take(ctx, argv)?.db, argv.get(2).into());
    if let Some(copying) = Copying::begin(ctx, argv.get(1), Some(to)) {
        return ctx.in_slices(argv.get(1), copying);
    }
    let part = copy_take(ctx, argv, &[SOURCE], &mut got)?;
    got.hops.push(vec![(ctx.shard.id, part)]);
    copy_put(ctx, argv, &[DESTINATION], &mut got)?;
    reply.int(1);
    Ok(Outcome::Done)
}

/// The copy of a big value, in the making.
struct Copying {
    copy: Option<Value>,
    at: u64,
    expire_at_ms: Option<u64>,
    access: u16,
    /// Where it goes, when that is here.
    to: Option<(DbIndex, Box<[u8]>)>,
}

impl Copying {
    /// Begins, if it is worth it.
    fn begin(ctx: &mut Ctx<'_>, key: &[u8], to: Option<(DbIndex, Box<[u8]>)>) -> Option<Copying> {
        let (access, above) = (ctx.shard.access_clock().fresh(), ctx.shard.settings.slices_above);
        let mut keys = ctx.keys();
        let entry = keys.peek(key)?;
        let ValueView::Heap(value) = entry.value() else { return None };
        let is_much = value.copied_elements() > above;
        is_much.then(|| Copying { copy: None, at: 0, expire_at_ms: entry.expire_at_ms(), access, to })
    }
}

impl Sliced for Copying {
    fn step(&mut self, values: Values<'_>, elements: usize, _: &mut Reply<'_>) -> Result<Step, CommandError> {
        let next = values.first()?.copy_some(&mut self.copy, self.at, elements.min(STEP_ELEMENTS));
        self.at = next.unwrap_or(self.at);
        Ok(if next.is_some() { Step::More } else { Step::Done })
    }

    fn finish(&mut self, ctx: &mut Ctx<'_>, reply: &mut Reply<'_>) -> Result<Part, CommandError> {
        let value = TakenValue::Heap(self.copy.take().expect("there was something to copy"));
        let moved = Moved { value, expire_at_ms: self.expire_at_ms, access: self.access };
        let Some((db, key)) = &self.to else { return Ok(Part::Moved(Some(Box::new(moved)))) };
        ctx.shard.keyspace(*db, true).put(key, moved, Event::COPY_TO);
        reply.int(1);
        Ok(Part::Nothing)
    }
}

fn copy_take(ctx: &mut Ctx<'_>, argv: Argv<'_>, _: &[usize], _: &mut Gathered) -> Result<Part, CommandError> {
    if let Some(copying) = Copying::begin(ctx, argv.get(1), None)
        && let Outcome::Slices(slices) = ctx.in_slices(argv.get(1), copying)?
    {
        return Ok(Part::Slices(slices));
    }
    let access = ctx.shard.access_clock().fresh();
    // As in `rename_take`: it may be gone.
    let Some(copy) = ctx.keys().copy(argv.get(1)) else { return Ok(Part::Stop) };
    Ok(Part::Moved(Some(Box::new(Moved { access, ..copy }))))
}

fn copy_put(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    let db = CopyOptions::take(ctx, argv)?.db;
    ctx.shard.keyspace(db, true).put(argv.get(2), taken(got), Event::COPY_TO);
    Ok(Part::Nothing)
}

pub const COPY_FINISH: FinishFn = |_, got, reply| {
    reply.int(i64::from(went_through(got, COPY)));
    Ok(Outcome::Done)
};

/// A key has the same owner in every database, so one shard does it all.
pub fn move_key(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let to = db_index(c_int(args)?, ctx.shard)?;
    if to == ctx.db {
        return Err(CommandError::SameObject);
    }
    let touch = !ctx.client.no_touch;
    let moves =
        ctx.keys().find_to_write(key).is_some() && ctx.shard.keyspace(to, touch).find_to_write(key).is_none();
    if moves && let Some(moved) = ctx.keys().take(key, Event::MOVE_FROM) {
        one_change(ctx.shard);
        ctx.shard.keyspace(to, touch).put(key, moved, Event::MOVE_TO);
    }
    reply.int(i64::from(moves));
    Ok(Outcome::Done)
}
