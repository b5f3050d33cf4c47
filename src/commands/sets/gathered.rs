//! The same over several shards: owners say where their sets are, and one core reads all of them there.
//!
//! Nothing of a big set is copied: its owner hands out a reference ([`Value::Set`] is shared), and as long as the
//! command's intents stand nobody changes it. What is long, and what stores, is done by the owner of the first key, the
//! destination of what stores; the rest when the reply is written.
//!
//! INVARIANT: references are given back before the intents are. Who changes a set that somebody else still holds would
//! copy it: so what is long never waits for the end of the hops.

use std::sync::Arc;

use smallvec::SmallVec;

use super::combine::{Card, Diff, Inter, Operation, Union, answer, count, is_long, made_of};
use super::missing;
use super::sliced::{Combining, Goal, Source};
use crate::commands::collection::read;
use crate::commands::spec::{Gathered, Hop, On};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Output, Reply};
use crate::shard::ValueView;
use crate::types::set::SetView;
use crate::types::{Collection, Encodings, Set, Value};

/// The sets of one shard, by their order among the keys. Those that are missing are left out.
#[derive(Default)]
struct Parcel {
    sets: Vec<(usize, Arc<Set>)>,
    /// So many members that they are not looked at when the reply is written.
    is_big: bool,
}

/// The sources among the keys, of which this is the first.
trait Sources: 'static {
    const FIRST: usize;
    /// The argument at which the keys begin.
    const AT: usize = 1;
}

struct All;
struct AfterDestination;
struct AfterNumber;

impl Sources for All {
    const FIRST: usize = 0;
}

impl Sources for AfterDestination {
    const FIRST: usize = 1;
}

impl Sources for AfterNumber {
    const FIRST: usize = 0;
    const AT: usize = 2;
}

/// An owner's part.
fn send<S: Sources>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    let most = super::combine::most(ctx);
    let (mut parcel, mut members) = (Parcel::default(), 0);
    for order in mine.iter().copied().filter(|order| *order >= S::FIRST) {
        let (mut keys, key) = (ctx.keys(), argv.get(S::AT + order));
        let Some(view) = read::<Set>(&mut keys, key)? else { continue };
        members += view.len();
        let set = match keys.again(key).map(|entry| entry.value()) {
            Some(ValueView::Packed(form, bytes)) => Set::unpack(form, bytes).into(),
            Some(ValueView::Heap(Value::Set(set))) => set.clone(),
            _ => continue,
        };
        parcel.sets.push((order, set));
    }
    parcel.is_big = members > most;
    Ok(Part::Gathered(Box::new(parcel)))
}

/// The same of what counts. Redis: its arguments are looked at before its keys.
fn send_to_count<O: Operation>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    Card::take(Args::new(argv, 1), O::APPROX)?;
    send::<AfterNumber>(ctx, argv, mine, got)
}

/// What was gathered, in the order of the keys; `None` for those that are missing.
fn unpack(got: &mut Gathered, sources: usize, first: usize) -> Vec<Option<Arc<Set>>> {
    let mut sets = vec![None; sources];
    for (_, part) in got.hops.first_mut().map(std::mem::take).unwrap_or_default() {
        if let Part::Gathered(parcel) = part {
            let parcel = *parcel.downcast::<Parcel>().expect("every owner sends a parcel");
            parcel.sets.into_iter().for_each(|(order, set)| sets[order - first] = Some(set));
        }
    }
    sets
}

fn views(sets: &[Option<Arc<Set>>]) -> SmallVec<[SetView<'_>; 8]> {
    sets.iter().map(|set| set.as_ref().map_or(missing(), |set| set.view())).collect()
}

/// The first key's owner does what is big.
fn when_big(_: Argv<'_>, got: &Gathered) -> Option<usize> {
    let is_big = |part: &Part| match part {
        Part::Gathered(parcel) => parcel.downcast_ref::<Parcel>().is_some_and(|parcel| parcel.is_big),
        _ => false,
    };
    got.parts(0).any(is_big).then_some(0)
}

/// Goes on in slices over sets of several shards.
fn in_slices<O: Operation>(ctx: &Ctx<'_>, sets: Vec<Option<Arc<Set>>>, goal: Goal) -> Part {
    let sources = sets.into_iter().map(|set| Source::Kept(set.unwrap_or_default())).collect();
    Combining::of::<O>(ctx, sources, goal).apart()
}

fn show<O: Operation>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    let sets = unpack(got, argv.len() - 1, 0);
    if is_long::<O>(&views(&sets), super::combine::most(ctx)) {
        return Ok(in_slices::<O>(ctx, sets, Goal::Members));
    }
    let mut output = Output::default();
    let mut reply = Reply::new(&mut output, ctx.client.protocol);
    answer::<O>(&views(&sets), &ctx.shard.settings.encodings, &mut reply);
    Ok(Part::Output(output))
}

fn finish_members<O: Operation>(
    argv: Argv<'_>,
    got: &mut Gathered,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    if !was_told(got, reply) {
        let sets = unpack(got, argv.len() - 1, 0);
        answer::<O>(&views(&sets), &Encodings::default(), reply);
    }
    Ok(Outcome::Done)
}

fn put<O: Operation>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    let (sets, key) = (unpack(got, argv.len() - 2, 1), argv.get(1));
    if is_long::<O>(&views(&sets), super::combine::most(ctx)) {
        let goal = Goal::Store { key: key.into(), made: Set::default(), event: O::STORED };
        return Ok(in_slices::<O>(ctx, sets, goal));
    }
    let made = made_of::<O>(&views(&sets), &ctx.shard.settings.encodings);
    drop(sets);
    let len = made.len() as i64;
    ctx.keys().store(key, made, O::STORED);
    Ok(Part::Int(len))
}

fn finish_store(_: Argv<'_>, got: &mut Gathered, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    if !was_told(got, reply) {
        reply.int(0);
    }
    Ok(Outcome::Done)
}

fn count_big<O: Operation>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    let card = Card::take(Args::new(argv, 1), O::APPROX)?;
    let sets = unpack(got, card.keys, 0);
    let most = super::combine::most(ctx);
    if is_long::<O>(&views(&sets), most) && card.limit > most {
        return Ok(in_slices::<O>(ctx, sets, Goal::Card { limit: card.limit }));
    }
    Ok(Part::Int(count::<O>(&views(&sets), &ctx.shard.settings.encodings, card.limit) as i64))
}

fn finish_count<O: Operation>(
    argv: Argv<'_>,
    got: &mut Gathered,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let card = Card::take(Args::new(argv, 1), O::APPROX)?;
    if !was_told(got, reply) {
        let sets = unpack(got, card.keys, 0);
        reply.int(count::<O>(&views(&sets), &Encodings::default(), card.limit) as i64);
    }
    Ok(Outcome::Done)
}

/// Writes what the second hop has told, if there was one.
fn was_told(got: &mut Gathered, reply: &mut Reply<'_>) -> bool {
    match got.hops.get_mut(1).and_then(|parts| parts.first_mut()) {
        Some((_, part)) => part.write_to(reply),
        None => false,
    }
}

macro_rules! runs {
    ($($name:ident: $members:ident, $store:ident, $card:ident;)*) => {
        use crate::commands::spec::Run;
        use super::combine;
        $(
            pub const $members: Run = Run::Hops {
                here: Some(combine::members::<$name>),
                hops: &[
                    Hop { on: On::Owners, run: send::<All> },
                    Hop { on: On::Chosen(when_big), run: show::<$name> },
                ],
                finish: finish_members::<$name>,
            };
            pub const $store: Run = Run::Hops {
                here: Some(combine::store::<$name>),
                hops: &[
                    Hop { on: On::Owners, run: send::<AfterDestination> },
                    Hop { on: On::Key(0), run: put::<$name> },
                ],
                finish: finish_store,
            };
            pub const $card: Run = Run::Hops {
                here: Some(combine::card::<$name>),
                hops: &[
                    Hop { on: On::Owners, run: send_to_count::<$name> },
                    Hop { on: On::Chosen(when_big), run: count_big::<$name> },
                ],
                finish: finish_count::<$name>,
            };
        )*
    };
}

runs! {
    Inter: SINTER, SINTERSTORE, SINTERCARD;
    Union: SUNION, SUNIONSTORE, SUNIONCARD;
    Diff: SDIFF, SDIFFSTORE, SDIFFCARD;
}
