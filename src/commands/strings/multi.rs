//! Several keys at once: MGET, MSET, MSETNX, MSETEX.

use super::expiry::Expiry;
use super::reply_string;
use super::set::store;
use crate::commands::spec::{Gathered, Hop, On};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Reply};
use crate::types::number::parse_i64;
use crate::types::raw::table::Ttl;

/// Redis: what is no string is null here, not an error.
pub fn mget_one(ctx: &mut Ctx<'_>, piece: Argv<'_>, reply: &mut Reply<'_>) -> Result<i64, CommandError> {
    match ctx.keys().read(piece.get(0)) {
        Some(entry) if reply_string(entry.value(), reply).is_ok() => {}
        _ => reply.null(),
    }
    Ok(0)
}

pub fn mset_one(ctx: &mut Ctx<'_>, piece: Argv<'_>, _: &mut Reply<'_>) -> Result<i64, CommandError> {
    store(ctx, piece.get(0), piece.get(1), Ttl::Clear);
    Ok(0)
}

pub const MSETNX: &[Hop] =
    &[Hop { on: On::Owners, run: msetnx_check }, Hop { on: On::Owners, run: msetnx_store }];

fn msetnx_check(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    if argv.len().is_multiple_of(2) {
        return Err(CommandError::WrongArity("msetnx"));
    }
    let mut keys = ctx.keys();
    let any = mine.iter().any(|order| keys.exists(argv.get(1 + 2 * order)));
    Ok(if any { Part::Stop } else { Part::Nothing })
}

fn msetnx_store(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    for order in mine {
        store(ctx, argv.get(1 + 2 * order), argv.get(2 + 2 * order), Ttl::Clear);
    }
    Ok(Part::Nothing)
}

/// 1 when the second hop, which stores, was reached.
pub fn stored(_: Argv<'_>, gathered: &mut Gathered, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    reply.int(i64::from(gathered.hops.len() == 2));
    Ok(Outcome::Done)
}

pub const MSETEX: &[Hop] =
    &[Hop { on: On::Owners, run: msetex_check }, Hop { on: On::Owners, run: msetex_store }];

struct Msetex {
    /// What every key must be: there (XX) or not (NX).
    exists: Option<bool>,
    ttl: Ttl,
}

impl Msetex {
    fn of(argv: Argv<'_>, now_ms: u64) -> Result<Msetex, CommandError> {
        let count = parse_i64(argv.get(1)).filter(|count| (1..=i64::from(i32::MAX)).contains(count));
        let count = count.ok_or(CommandError::Line("ERR invalid numkeys value"))? as usize;
        if argv.len() - 2 < 2 * count {
            return Err(CommandError::Line("ERR wrong number of key-value pairs"));
        }
        let mut args = Args::new(argv, 2 + 2 * count);
        let (mut exists, mut expiry) = (None, Expiry::Unsaid);
        while !args.is_done() {
            if expiry.option(&mut args, "KEEPTTL", Expiry::Keep) {
                continue;
            }
            let wanted = if args.token("NX") {
                false
            } else if args.token("XX") {
                true
            } else {
                return Err(CommandError::Syntax);
            };
            if exists.is_some_and(|before| before != wanted) {
                return Err(CommandError::Syntax);
            }
            exists = Some(wanted);
        }
        Ok(Msetex { exists, ttl: expiry.ttl(now_ms, "msetex")? })
    }
}

fn msetex_check(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    let Some(wanted) = Msetex::of(argv, ctx.now_ms())?.exists else { return Ok(Part::Nothing) };
    let mut keys = ctx.keys();
    let all = mine.iter().all(|order| keys.exists(argv.get(2 + 2 * order)) == wanted);
    Ok(if all { Part::Nothing } else { Part::Stop })
}

fn msetex_store(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    let ttl = Msetex::of(argv, ctx.now_ms())?.ttl;
    for order in mine {
        store(ctx, argv.get(2 + 2 * order), argv.get(3 + 2 * order), ttl);
    }
    Ok(Part::Nothing)
}
