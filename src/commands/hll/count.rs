//! PFCOUNT: of one key, with the cardinality cached in it; of several, of their union.

use super::merge::Union;
use super::{corrupted, open};
use crate::commands::spec::{Gathered, Hop, On};
use crate::commands::strings::raw;
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Reply};
use crate::shard::Event;
use crate::types::hll;

/// Every owner unites its own; registers travel.
pub const PFCOUNT: &[Hop] = &[Hop { on: On::Owners, run: unite }];

/// All keys are here.
pub fn pfcount(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let cardinality = if args.left() == 1 {
        cardinality(ctx, args.take()?)?
    } else {
        let mut union = Union::default();
        let mut keys = ctx.keys();
        args.rest().try_for_each(|key| union.add(&mut keys, key))?;
        union.cardinality()
    };
    reply.int(cardinality as i64);
    Ok(Outcome::Done)
}

fn cardinality(ctx: &mut Ctx<'_>, key: &[u8]) -> Result<u64, CommandError> {
    let counted = match ctx.keys().read(key) {
        None => return Ok(0),
        Some(entry) => {
            let mut digits = itoa::Buffer::new();
            let (bytes, _) = open(entry.value(), &mut digits)?;
            if let Some(cardinality) = hll::cached(bytes) {
                return Ok(cardinality);
            }
            hll::count(bytes).map_err(corrupted)?
        }
    };
    // The access was counted above.
    let mut keys = ctx.shard.keyspace(ctx.db, false);
    let stored = keys.edit_with(key, |edit| {
        hll::set_cached(raw(edit, 0)?, counted);
        edit.commit(Event::COUNTED);
        Ok(())
    });
    stored.transpose()?;
    Ok(counted)
}

fn unite(ctx: &mut Ctx<'_>, argv: Argv<'_>, mine: &[usize], _: &mut Gathered) -> Result<Part, CommandError> {
    let mut union = Union::default();
    let mut keys = ctx.keys();
    mine.iter().try_for_each(|order| union.add(&mut keys, argv.get(1 + order)))?;
    Ok(union.into_part())
}

pub fn finish(_: Argv<'_>, got: &mut Gathered, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    reply.int(Union::of_hop(got, 0).cardinality() as i64);
    Ok(Outcome::Done)
}
