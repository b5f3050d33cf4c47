//! KEYS, SCAN, RANDOMKEY: finding keys.

use super::exist::kind;
use crate::commands::cursor::{matches, parse_cursor, take_count};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Output, Protocol, Reply};
use crate::shard::memory::MemoryBoard;
use crate::types::DbIndex;

pub fn keys_each(ctx: &mut Ctx<'_>, argv: Argv<'_>) -> Result<Part, CommandError> {
    let pattern = argv.get(1);
    let protocol = ctx.client.protocol;
    let (mut found, mut count) = (Output::default(), 0);
    let mut reply = Reply::new(&mut found, protocol);
    ctx.keys().for_each(&mut |entry| {
        if matches(Some(pattern), entry.key()) {
            reply.bulk(entry.key());
            count += 1;
        }
    });
    Ok(Part::Each { sum: count, elements: vec![(0, found)] })
}

pub fn keys_merge(_: Argv<'_>, parts: &mut [Part], reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let total: i64 = parts.iter().map(|part| if let Part::Each { sum, .. } = part { *sum } else { 0 }).sum();
    reply.array(total as usize);
    for part in parts {
        let Part::Each { elements, .. } = part else { unreachable!("every shard lists its keys") };
        for (_, found) in elements {
            reply.out.append(found);
        }
    }
    Ok(Outcome::Done)
}

/// Where a SCAN goes on. A cursor is `position * shards + shard`, so that with one shard it is the table's own, every
/// number is a cursor, and 0 is the beginning.
#[derive(Clone, Copy)]
struct Cursor {
    shard: usize,
    position: u64,
}

impl Cursor {
    fn parse(text: &[u8], shards: usize) -> Result<Cursor, CommandError> {
        let (number, shards) = (parse_cursor(text)?, shards as u64);
        Ok(Cursor { shard: (number % shards) as usize, position: number / shards })
    }

    /// What to show for the place after a step that ended at `next` on its shard. Shards without keys are passed over.
    fn after(self, next: u64, board: &MemoryBoard, db: DbIndex) -> u64 {
        let shards = board.shards();
        if next != 0 {
            return next * shards as u64 + self.shard as u64;
        }
        // The beginning of a shard is its number, and the end is the beginning of the first.
        (self.shard + 1..shards).find(|shard| board.may_hold_keys(*shard, db)).unwrap_or(0) as u64
    }
}

/// The shard that a cursor is on.
pub fn scan_shard(argv: Argv<'_>, shards: usize) -> Result<usize, CommandError> {
    Ok(Cursor::parse(argv.get(1), shards)?.shard)
}

/// The options of SCAN.
struct Options<'a> {
    pattern: Option<&'a [u8]>,
    of_type: Option<&'a [u8]>,
    count: usize,
}

impl<'a> Options<'a> {
    fn take(args: &mut Args<'a>) -> Result<Options<'a>, CommandError> {
        let mut options = Options { pattern: None, of_type: None, count: 10 };
        while !args.is_done() {
            let has_value = args.left() >= 2;
            if has_value && args.token("count") {
                options.count = take_count(args)?;
            } else if has_value && args.token("match") {
                options.pattern = Some(args.take()?);
            } else if has_value && args.token("type") {
                options.of_type = Some(args.take()?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

/// Redis 7.0: a TYPE that does not exist matches nothing, and is no error.
pub fn scan(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let shards = ctx.shard.board.shards();
    let cursor = Cursor::parse(args.take()?, shards)?;
    let options = Options::take(args)?;
    let (mut found, mut count, mut typed) = (Output::default(), 0, 0);
    let mut names = Reply::new(&mut found, Protocol::default());
    let next = ctx.keys().scan(cursor.position, options.count, &mut |entry| {
        if !matches(options.pattern, entry.key()) {
            return;
        }
        if let Some(wanted) = options.of_type {
            typed += 1;
            if !kind(entry.value()).name().as_bytes().eq_ignore_ascii_case(wanted) {
                return;
            }
        }
        names.bulk(entry.key());
        count += 1;
    });
    // Redis: looking at a key's type counts as a hit.
    ctx.shard.stats.hits += typed;
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(cursor.after(next, &ctx.shard.board, ctx.db)).as_bytes());
    reply.array(count);
    reply.out.append(&mut found);
    Ok(Outcome::Done)
}

/// A random key of this shard, with a lot drawn so that the smallest lot of all shards wins as often as its shard has
/// keys: `-ln(u) / n` is the least of `n` lots drawn from one exponential distribution.
pub fn randomkey_each(ctx: &mut Ctx<'_>, _: Argv<'_>) -> Result<Part, CommandError> {
    let protocol = ctx.client.protocol;
    let mut keys = ctx.keys();
    let mut key = Output::default();
    let Some(entry) = keys.random() else { return Ok(Part::Nothing) };
    Reply::new(&mut key, protocol).bulk(entry.key());
    let keys_count = keys.len() as f64;
    let lot = -(1.0 - ctx.shard.rng.f64()).ln() / keys_count;
    // The bits of floats that are not negative order as the floats do.
    Ok(Part::Each { sum: lot.abs().to_bits() as i64, elements: vec![(0, key)] })
}

pub fn randomkey_merge(
    _: Argv<'_>,
    parts: &mut [Part],
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let drawn = parts.iter_mut().filter_map(|part| match part {
        Part::Each { sum, elements } => Some((*sum, elements)),
        _ => None,
    });
    match drawn.min_by_key(|(lot, _)| *lot) {
        Some((_, elements)) => elements.iter_mut().for_each(|(_, key)| reply.out.append(key)),
        None => reply.null(),
    }
    Ok(Outcome::Done)
}
