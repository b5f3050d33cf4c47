//! SORT over several shards, in hops. Between them travel the elements, shared by all shards, and what was found.

use std::sync::Arc;

use super::elements::Elements;
use super::options::Options;
use super::pattern::{Values, look_up};
use super::{order, result};
use crate::commands::spec::{FinishFn, Gathered, Hop, On};
use crate::commands::{CommandError, Ctx, Outcome, Part};
use crate::resp::Argv;
use crate::shard::Placement;

/// The orders of the two keys.
const SOURCE: usize = 0;
const DESTINATION: usize = 1;

pub const SORT: &[Hop] = &[
    Hop { on: On::Key(SOURCE), run: read },
    Hop { on: On::EveryIf(weighs_by_keys), run: weigh },
    Hop { on: On::Key(SOURCE), run: choose },
    Hop { on: On::EveryIf(gets_keys), run: get },
    Hop { on: On::Chosen(destination), run: store },
];

/// The places of the hops above in what was gathered.
const READ: usize = 0;
const WEIGHED: usize = 1;
const CHOSEN: usize = 2;
const GOT: usize = 3;
const STORED: usize = 4;

fn weighs_by_keys(argv: Argv<'_>) -> bool {
    Options::take(argv).is_ok_and(|options| options.weight_pattern().is_some())
}

fn gets_keys(argv: Argv<'_>) -> bool {
    Options::take(argv).is_ok_and(|options| options.gets.iter().any(|pattern| pattern.names_keys()))
}

fn destination(argv: Argv<'_>, _: &Gathered) -> Option<usize> {
    Options::take(argv).ok().and_then(|options| options.store).map(|_| DESTINATION)
}

fn read(ctx: &mut Ctx<'_>, argv: Argv<'_>, _: &[usize], _: &mut Gathered) -> Result<Part, CommandError> {
    let options = Options::take(argv)?;
    Ok(Part::Shared(Arc::new(Elements::read(ctx, argv.get(1), &options)?)))
}

/// The elements that a hop left.
fn elements(got: &Gathered, hop: usize) -> Arc<Elements> {
    let part = got.hops.get(hop).and_then(|parts| parts.first());
    match part {
        Some((_, Part::Shared(elements))) => Arc::clone(elements).downcast().ok(),
        _ => None,
    }
    .unwrap_or_default()
}

/// What the shards found in a hop.
fn values(got: &Gathered, hop: usize) -> Vec<&Values> {
    let parts = got.hops.get(hop).map(Vec::as_slice).unwrap_or_default();
    parts
        .iter()
        .filter_map(|(_, part)| match part {
            Part::Gathered(values) => values.downcast_ref(),
            _ => None,
        })
        .collect()
}

/// Is a key this shard's?
fn owned_here(ctx: &Ctx<'_>) -> impl Fn(&[u8]) -> bool + use<> {
    let (placement, here) = (Placement::new(ctx.shard.board.shards()), ctx.shard.id);
    move |name| placement.owner_of(name) == here
}

fn weigh(ctx: &mut Ctx<'_>, argv: Argv<'_>, _: &[usize], got: &mut Gathered) -> Result<Part, CommandError> {
    let Some(by) = Options::take(argv)?.weight_pattern() else { return Ok(Part::Nothing) };
    let here = owned_here(ctx);
    Ok(Part::Gathered(Box::new(look_up(ctx, &elements(got, READ), &[by], here))))
}

fn choose(_: &mut Ctx<'_>, argv: Argv<'_>, _: &[usize], got: &mut Gathered) -> Result<Part, CommandError> {
    let options = Options::take(argv)?;
    let chosen = order::chosen(&elements(got, READ), &options, &values(got, WEIGHED))?;
    Ok(Part::Shared(Arc::new(chosen)))
}

fn get(ctx: &mut Ctx<'_>, argv: Argv<'_>, _: &[usize], got: &mut Gathered) -> Result<Part, CommandError> {
    let options = Options::take(argv)?;
    let here = owned_here(ctx);
    Ok(Part::Gathered(Box::new(look_up(ctx, &elements(got, CHOSEN), &options.gets, here))))
}

fn store(ctx: &mut Ctx<'_>, argv: Argv<'_>, _: &[usize], got: &mut Gathered) -> Result<Part, CommandError> {
    let options = Options::take(argv)?;
    let Some(at) = options.store else { return Ok(Part::Nothing) };
    let chosen = elements(got, CHOSEN);
    Ok(Part::Int(result::store(ctx, argv.get(at), &chosen, &options, &values(got, GOT))))
}

pub const SORT_FINISH: FinishFn = |argv, got, reply| {
    let options = Options::take(argv)?;
    if options.store.is_none() {
        result::reply(&elements(got, CHOSEN), &options, &values(got, GOT), reply);
        return Ok(Outcome::Done);
    }
    let stored = got.parts(STORED).find_map(|part| match part {
        Part::Int(stored) => Some(*stored),
        _ => None,
    });
    reply.int(stored.unwrap_or(0));
    Ok(Outcome::Done)
};
