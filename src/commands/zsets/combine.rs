//! Union, intersection and difference: ZUNION, ZINTER, ZDIFF, their STORE forms, and ZINTERCARD.
//!
//! On one shard the inputs are read where they are. Over several, owners send copies of what is small and share what is
//! big, as with sets (`commands/sets/gathered.rs`), and the coordinator, or, when it is much or stored, the owner of the
//! first key, puts them together.

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::inputs::{self, Input, Inputs, Sent};
use super::sliced::Combining;
use super::{full, reply_list, reply_pair};
use crate::commands::spec::{FinishFn, Gathered, Hop, On};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Output, Reply};
use crate::shard::Event;
use crate::types::listpack::Element;
use crate::types::number::{parse_f64, parse_i64};
use crate::types::raw::table::Hasher;
use crate::types::{Encodings, ZSet, zset};

/// The three operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    Union,
    Inter,
    Diff,
}

/// Which form of a command it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Members,
    Store,
    Count,
}

/// One command.
trait Combine: 'static {
    const NAME: &'static str;
    const OPERATION: Operation;
    const FORM: Form;
    const STORED: Event = Event::ZUNIONSTORE;
}

macro_rules! combine {
    ($($name:ident = $wire:literal, $operation:ident, $form:ident, $event:ident;)*) => {
        $(
            pub struct $name;
            impl Combine for $name {
                const NAME: &'static str = $wire;
                const OPERATION: Operation = Operation::$operation;
                const FORM: Form = Form::$form;
                const STORED: Event = Event::$event;
            }
        )*
    };
}

combine! {
    Zunion = "zunion", Union, Members, ZUNIONSTORE;
    Zinter = "zinter", Inter, Members, ZINTERSTORE;
    Zdiff = "zdiff", Diff, Members, ZDIFFSTORE;
    Zunionstore = "zunionstore", Union, Store, ZUNIONSTORE;
    Zinterstore = "zinterstore", Inter, Store, ZINTERSTORE;
    Zdiffstore = "zdiffstore", Diff, Store, ZDIFFSTORE;
    Zintercard = "zintercard", Inter, Count, ZINTERSTORE;
}

/// How scores of the same member come together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aggregate {
    Sum,
    Min,
    Max,
    /// The sum of the weights alone.
    Count,
}

impl Aggregate {
    /// What a member counts that has this score in an input of this weight. Redis: infinity times nothing is nothing.
    pub fn weighted(self, score: f64, weight: f64) -> f64 {
        let weighted = if self == Aggregate::Count { weight } else { score * weight };
        if weighted.is_nan() { 0.0 } else { weighted }
    }

    /// The same of the other inputs of an intersection. Redis: there a product that is no number is not looked at before
    /// it is joined.
    pub fn of_other(self, score: f64, weight: f64) -> f64 {
        if self == Aggregate::Count { weight } else { score * weight }
    }

    /// Redis: infinities that cancel each other are nothing.
    pub fn join(self, one: f64, other: f64) -> f64 {
        match self {
            Aggregate::Sum | Aggregate::Count => {
                let sum = one + other;
                if sum.is_nan() { 0.0 } else { sum }
            }
            Aggregate::Min => {
                if other < one {
                    other
                } else {
                    one
                }
            }
            Aggregate::Max => {
                if other > one {
                    other
                } else {
                    one
                }
            }
        }
    }
}

/// The place of the keys among the arguments.
struct Keys {
    first: usize,
    count: usize,
}

impl Keys {
    fn of<C: Combine>(argv: Argv<'_>) -> Result<Keys, CommandError> {
        let at = if C::FORM == Form::Store { 2 } else { 1 };
        let count = parse_i64(argv.get(at)).ok_or(CommandError::NotInteger)?;
        if count < 1 {
            return Err(CommandError::text(format!(
                "ERR at least 1 input key is needed for '{}' command",
                C::NAME
            )));
        }
        let (count, first) = (usize::try_from(count).unwrap_or(usize::MAX), at + 1);
        if count > argv.len() - first {
            return Err(CommandError::Syntax);
        }
        Ok(Keys { first, count })
    }

    fn names<'a>(&self, argv: Argv<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        (self.first..self.first + self.count).map(move |index| argv.get(index))
    }
}

pub struct Options {
    pub weights: SmallVec<[f64; 8]>,
    pub aggregate: Aggregate,
    pub with_scores: bool,
    /// Of ZINTERCARD.
    pub limit: usize,
}

impl Options {
    fn of<C: Combine>(argv: Argv<'_>, keys: &Keys) -> Result<Options, CommandError> {
        let mut args = Args::new(argv, keys.first + keys.count);
        let weighs = C::OPERATION != Operation::Diff && C::FORM != Form::Count;
        let mut options = Options {
            weights: smallvec::smallvec![1.0; keys.count],
            aggregate: Aggregate::Sum,
            with_scores: false,
            limit: usize::MAX,
        };
        while !args.is_done() {
            let left = args.left();
            if weighs && left > keys.count && args.token("weights") {
                for weight in &mut options.weights {
                    let read = parse_f64(args.take()?);
                    *weight = read.ok_or(CommandError::Line("ERR weight value is not a float"))?;
                }
            } else if weighs && left >= 2 && args.token("aggregate") {
                options.aggregate = if args.token("sum") {
                    Aggregate::Sum
                } else if args.token("min") {
                    Aggregate::Min
                } else if args.token("max") {
                    Aggregate::Max
                } else if args.token("count") {
                    Aggregate::Count
                } else {
                    return Err(CommandError::Syntax);
                };
            } else if C::FORM == Form::Members && args.token("withscores") {
                options.with_scores = true;
            } else if C::FORM == Form::Count && left >= 2 && args.token("limit") {
                let limit = parse_i64(args.take()?).and_then(|limit| usize::try_from(limit).ok());
                match limit.ok_or(CommandError::Line("ERR LIMIT can't be negative"))? {
                    0 => options.limit = usize::MAX,
                    limit => options.limit = limit,
                }
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

type Members<'a> = Vec<(Element<'a>, f64)>;

/// The members of the result, in no order of meaning.
fn combine<'a>(operation: Operation, inputs: &[Input<'a>], options: &Options) -> Members<'a> {
    let mut weighted: SmallVec<[(Input<'a>, f64); 8]> =
        inputs.iter().copied().zip(options.weights.iter().copied()).collect();
    if operation != Operation::Diff {
        // Redis: sums begin with the smallest input, and the order of a sum decides its last digit.
        weighted.sort_by_key(|(input, _)| input.len());
    }
    match operation {
        Operation::Union => union(&weighted, options.aggregate),
        Operation::Inter => inter(&weighted, options.aggregate, options.limit),
        Operation::Diff => diff(inputs),
    }
}

fn union<'a>(inputs: &[(Input<'a>, f64)], aggregate: Aggregate) -> Members<'a> {
    let hasher = Hasher::shared();
    let mut members: Members<'a> = Vec::new();
    let mut index: HashTable<(u64, u32)> = HashTable::new();
    let mut digits = itoa::Buffer::new();
    for (input, weight) in inputs {
        input.each(&mut |member, score| {
            let score = aggregate.weighted(score, *weight);
            let text = member.as_bytes(&mut digits);
            let hash = hasher.hash(text);
            let is =
                |(_, at): &(u64, u32)| members[*at as usize].0.as_bytes(&mut itoa::Buffer::new()) == text;
            if let Some((_, at)) = index.find(hash, is) {
                let known = &mut members[*at as usize].1;
                *known = aggregate.join(*known, score);
            } else {
                index.insert_unique(hash, (hash, members.len() as u32), |(hash, _)| *hash);
                members.push((member, score));
            }
            true
        });
    }
    members
}

fn inter<'a>(inputs: &[(Input<'a>, f64)], aggregate: Aggregate, limit: usize) -> Members<'a> {
    let mut members: Members<'a> = Vec::new();
    let Some(((smallest, weight), others)) = inputs.split_first() else { return members };
    let mut digits = itoa::Buffer::new();
    smallest.each(&mut |member, score| {
        let text = member.as_bytes(&mut digits);
        let mut total = aggregate.weighted(score, *weight);
        for (other, weight) in others {
            let Some(score) = other.score(text) else { return true };
            total = aggregate.join(total, aggregate.of_other(score, *weight));
        }
        members.push((member, total));
        members.len() < limit
    });
    members
}

fn diff<'a>(inputs: &[Input<'a>]) -> Members<'a> {
    let mut members: Members<'a> = Vec::new();
    let Some((first, others)) = inputs.split_first() else { return members };
    let mut digits = itoa::Buffer::new();
    first.each(&mut |member, score| {
        let text = member.as_bytes(&mut digits);
        if others.iter().all(|other| other.score(text).is_none()) {
            members.push((member, score));
        }
        true
    });
    members
}

fn sort(members: &mut Members<'_>) {
    let (mut one, mut two) = (itoa::Buffer::new(), itoa::Buffer::new());
    members.sort_by(|a, b| zset::compare((a.1, a.0.as_bytes(&mut one)), (b.1, b.0.as_bytes(&mut two))));
}

/// Members as a sorted set. Redis: its form is chosen at the end, by what it has.
pub fn made_of(mut members: Members<'_>, limits: &Encodings) -> Result<ZSet, CommandError> {
    sort(&mut members);
    let is_long = members.iter().any(|(member, _)| member.text_len() > limits.zset_value_bytes);
    let mut made = ZSet::with_len(if is_long { usize::MAX } else { members.len() }, limits);
    let mut digits = itoa::Buffer::new();
    for (member, score) in members {
        made.add(member.as_bytes(&mut digits), score, limits).map_err(full)?;
    }
    Ok(made)
}

fn answer<C: Combine>(inputs: &[Input<'_>], options: &Options, reply: &mut Reply<'_>) {
    let mut members = combine(C::OPERATION, inputs, options);
    if C::FORM == Form::Count {
        return reply.int(members.len() as i64);
    }
    sort(&mut members);
    reply_list(members.len(), options.with_scores, reply);
    for (member, score) in members {
        reply_pair(member, score, options.with_scores, reply);
    }
}

/// About how many members an operation looks at.
fn looked_at(operation: Operation, inputs: &[Input<'_>]) -> usize {
    let lens = inputs.iter().map(Input::len);
    match operation {
        Operation::Union => lens.sum(),
        Operation::Inter => lens.min().unwrap_or(0),
        Operation::Diff => lens.take(1).sum(),
    }
}

/// All keys are here.
#[allow(private_bounds)]
pub fn here<C: Combine>(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let argv = args.argv();
    let keys = Keys::of::<C>(argv)?;
    let limits = ctx.shard.settings.encodings;
    let most = most(ctx);
    let mut keyspace = ctx.keys();
    // Redis: types are checked before options.
    inputs::check(&mut keyspace, keys.names(argv))?;
    let options = Options::of::<C>(argv, &keys)?;
    let inputs = inputs::of_keys(&keyspace, keys.names(argv))?;
    if looked_at(C::OPERATION, &inputs) > most {
        drop(inputs);
        let names: Vec<&[u8]> = keys.names(argv).collect();
        let to = (C::FORM == Form::Store).then(|| (argv.get(1).into(), C::STORED));
        return Combining::begin(ctx, &names, (C::OPERATION, C::FORM), &options, to);
    }
    if C::FORM != Form::Store {
        answer::<C>(&inputs, &options, reply);
        return Ok(Outcome::Done);
    }
    let made = made_of(combine(C::OPERATION, &inputs, &options), &limits)?;
    drop(inputs);
    reply.int(made.len() as i64);
    keyspace.store(argv.get(1), made, C::STORED);
    if options.aggregate == Aggregate::Count {
        // Redis 7.0 knows no such sum.
        ctx.say(|log, _| log.say_state());
    }
    Ok(Outcome::Done)
}

#[allow(private_bounds)]
pub const fn hops<C: Combine>() -> &'static [Hop] {
    match C::FORM {
        Form::Store => {
            const { &[Hop { on: On::Owners, run: send::<C> }, Hop { on: On::Key(0), run: store::<C> }] }
        }
        _ => {
            const { &[Hop { on: On::Owners, run: send::<C> }, Hop { on: On::Chosen(when_big), run: show::<C> }] }
        }
    }
}

/// Inputs of one shard.
#[derive(Default)]
struct Parcel {
    /// By their order among the inputs.
    inputs: Vec<(usize, Sent)>,
    /// So many members that they are not looked at when the reply is written.
    is_big: bool,
}

/// The first key's owner does what is big.
fn when_big(_: Argv<'_>, got: &Gathered) -> Option<usize> {
    let is_big = |part: &Part| match part {
        Part::Gathered(parcel) => parcel.downcast_ref::<Parcel>().is_some_and(|parcel| parcel.is_big),
        _ => false,
    };
    got.parts(0).any(is_big).then_some(0)
}

fn most(ctx: &Ctx<'_>) -> usize {
    ctx.shard.settings.slices_above.saturating_mul(2)
}

fn is_long<C: Combine>(ctx: &Ctx<'_>, sent: &[Sent]) -> bool {
    let inputs: Inputs<'_> = sent.iter().map(Sent::input).collect();
    looked_at(C::OPERATION, &inputs) > most(ctx)
}

fn send<C: Combine>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    let keys = Keys::of::<C>(argv)?;
    // The destination is the first key of those that store.
    let before = usize::from(C::FORM == Form::Store);
    let (mut parcel, mut members) = (Parcel::default(), 0);
    for order in mine.iter().filter_map(|order| order.checked_sub(before)) {
        let sent = Sent::of(ctx, argv.get(keys.first + order))?;
        members += sent.input().len();
        parcel.inputs.push((order, sent));
    }
    parcel.is_big = members > most(ctx);
    Ok(Part::Gathered(Box::new(parcel)))
}

/// What the first hop gathered, in the order of the keys.
fn unpack(got: &mut Gathered) -> Vec<Sent> {
    let mut all = Vec::new();
    for (_, part) in got.hops[0].drain(..) {
        if let Part::Gathered(parcel) = part {
            all.extend(parcel.downcast::<Parcel>().expect("every owner sends a parcel").inputs);
        }
    }
    all.sort_by_key(|(order, _)| *order);
    all.into_iter().map(|(_, sent)| sent).collect()
}

fn store<C: Combine>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    let keys = Keys::of::<C>(argv)?;
    let options = Options::of::<C>(argv, &keys)?;
    let sent = unpack(got);
    if is_long::<C>(ctx, &sent) {
        let to = Some((argv.get(1).into(), C::STORED));
        return Ok(Combining::apart(ctx, sent, (C::OPERATION, C::FORM), &options, to));
    }
    let inputs: Inputs<'_> = sent.iter().map(Sent::input).collect();
    let made = made_of(combine(C::OPERATION, &inputs, &options), &ctx.shard.settings.encodings)?;
    drop(inputs);
    // Before one of them is overwritten.
    drop(sent);
    let len = made.len();
    ctx.keys().store(argv.get(1), made, C::STORED);
    Ok(Part::Int(len as i64))
}

fn show<C: Combine>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    let keys = Keys::of::<C>(argv)?;
    let options = Options::of::<C>(argv, &keys)?;
    let sent = unpack(got);
    if is_long::<C>(ctx, &sent) {
        return Ok(Combining::apart(ctx, sent, (C::OPERATION, C::FORM), &options, None));
    }
    let inputs: Inputs<'_> = sent.iter().map(Sent::input).collect();
    let mut output = Output::default();
    answer::<C>(&inputs, &options, &mut Reply::new(&mut output, ctx.client.protocol));
    Ok(Part::Output(output))
}

#[allow(private_bounds)]
pub const fn finish<C: Combine>() -> FinishFn {
    match C::FORM {
        Form::Store => super::range::STORED,
        _ => |argv, got, reply| {
            if let Some((_, part)) = got.hops.get_mut(1).and_then(|parts| parts.first_mut()) {
                part.write_to(reply);
                return Ok(Outcome::Done);
            }
            let keys = Keys::of::<C>(argv)?;
            let options = Options::of::<C>(argv, &keys)?;
            let sent = unpack(got);
            let inputs: Inputs<'_> = sent.iter().map(Sent::input).collect();
            answer::<C>(&inputs, &options, reply);
            Ok(Outcome::Done)
        },
    }
}
