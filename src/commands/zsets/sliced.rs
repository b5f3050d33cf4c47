//! Unions, intersections and differences of big sorted sets, in slices: those of one shard are pinned, those of several
//! shared.
//!
//! The result is made as a sorted set, member by member, whatever becomes of it: so it is in order when it is shown.

use smallvec::SmallVec;

use super::combine::{Aggregate, Form, Operation, Options};
use super::inputs::{Input, Inputs, Sent};
use super::{full, reply_list, reply_pair};
use crate::commands::sliced::{STEP_ELEMENTS, Sliced, Slices, Step, Values};
use crate::commands::{CommandError, Ctx, Outcome, Part};
use crate::resp::Reply;
use crate::shard::{Event, ValueView};
use crate::types::{Collection, Encodings, ZSet};

/// What the next step is about.
#[derive(Clone, Copy)]
enum Phase {
    /// Reading the input of this order, from a place on.
    Reading(usize, u64),
    /// Showing the result, from a rank on.
    Showing(usize),
    Dropping,
}

/// What is done with the members.
#[derive(Clone, Copy)]
struct Rules {
    operation: Operation,
    form: Form,
    aggregate: Aggregate,
    with_scores: bool,
    limit: usize,
    limits: Encodings,
}

/// An operation under way.
pub struct Combining {
    rules: Rules,
    /// The inputs in the order in which they are joined, with their weights: copies of what is too small to be pinned
    /// and what is another shard's, `None` for the next that is pinned.
    inputs: Vec<(Option<Sent>, f64)>,
    /// Where the result goes, and how that is called.
    to: Option<(Box<[u8]>, Event)>,
    phase: Phase,
    made: ZSet,
    count: usize,
}

impl Combining {
    /// Begins with what is under these keys, which was looked up.
    pub fn begin(
        ctx: &mut Ctx<'_>,
        names: &[&[u8]],
        (operation, form): (Operation, Form),
        options: &Options,
        to: Option<(Box<[u8]>, Event)>,
    ) -> Result<Outcome, CommandError> {
        let mut keys = ctx.keys();
        let mut inputs = Vec::with_capacity(names.len());
        for (name, weight) in names.iter().zip(&options.weights) {
            let (len, copy) = match keys.peek(name) {
                None => (0, Some(Sent::Missing)),
                Some(entry) => (Input::of(entry.value())?.len(), Sent::small(entry.value())),
            };
            inputs.push((len, *name, copy, *weight));
        }
        if operation != Operation::Diff {
            // As in `combine`: sums begin with the smallest.
            inputs.sort_by_key(|(len, ..)| *len);
        }
        let pinned: Vec<&[u8]> =
            inputs.iter().filter(|(_, _, copy, _)| copy.is_none()).map(|(_, name, ..)| *name).collect();
        let inputs = inputs.into_iter().map(|(_, _, copy, weight)| (copy, weight)).collect();
        let combining = Combining::new(ctx, inputs, (operation, form), options, to);
        ctx.in_slices_over(&pinned, combining)
    }

    /// Over inputs that owners have sent, as a hop.
    pub fn apart(
        ctx: &Ctx<'_>,
        sent: Vec<Sent>,
        (operation, form): (Operation, Form),
        options: &Options,
        to: Option<(Box<[u8]>, Event)>,
    ) -> Part {
        let weights = options.weights.iter().copied();
        let mut inputs: Vec<_> = sent.into_iter().map(Some).zip(weights).collect();
        if operation != Operation::Diff {
            inputs.sort_by_key(|(sent, _)| sent.as_ref().map_or(0, |sent| sent.input().len()));
        }
        let combining = Combining::new(ctx, inputs, (operation, form), options, to);
        Part::Slices(Slices::new(Vec::new(), combining))
    }

    fn new(
        ctx: &Ctx<'_>,
        inputs: Vec<(Option<Sent>, f64)>,
        (operation, form): (Operation, Form),
        options: &Options,
        to: Option<(Box<[u8]>, Event)>,
    ) -> Combining {
        let limits = ctx.shard.settings.encodings;
        let Options { aggregate, with_scores, limit, .. } = *options;
        Combining {
            rules: Rules { operation, form, aggregate, with_scores, limit, limits },
            inputs,
            to,
            phase: Phase::Reading(0, 0),
            made: ZSet::new_sorted(),
            count: 0,
        }
    }

    /// Reads about so many members of an input.
    fn read(
        &mut self,
        values: Values<'_>,
        (at, place): (usize, u64),
        elements: usize,
    ) -> Result<(), CommandError> {
        let Combining { rules, inputs: sources, made, count, .. } = self;
        let pinned = values.all()?;
        let mut pinned = pinned.iter();
        let mut inputs = Inputs::new();
        for (copy, _) in sources.iter() {
            inputs.push(match copy {
                Some(copy) => copy.input(),
                None => Input::of(ValueView::Heap(pinned.next().ok_or(CommandError::WrongType)?))?,
            });
        }
        let weights: SmallVec<[f64; 8]> = sources.iter().map(|(_, weight)| *weight).collect();
        let (mut result, mut is_enough) = (Ok(()), false);
        let mut digits = itoa::Buffer::new();
        let next = inputs[at].each_from(place, elements, &mut |member, score| {
            if is_enough || result.is_err() {
                return;
            }
            let member = member.as_bytes(&mut digits);
            let Some(score) = rules.score_of(&inputs, &weights, at, member, score, made) else { return };
            if rules.form == Form::Count {
                *count += 1;
                is_enough = *count >= rules.limit;
            } else {
                result = made.add(member, score, &rules.limits).map(drop).map_err(full);
            }
        });
        result?;
        let last = if rules.operation == Operation::Union { inputs.len() - 1 } else { 0 };
        self.phase = match next {
            _ if is_enough => Phase::Dropping,
            0 if at < last => Phase::Reading(at + 1, 0),
            0 if rules.form == Form::Members => Phase::Showing(0),
            0 => Phase::Dropping,
            next => Phase::Reading(at, next),
        };
        Ok(())
    }
}

impl Rules {
    /// The score with which a member of the input at `at` is in the result as it is so far; `None` when it is not.
    fn score_of(
        &self,
        inputs: &[Input<'_>],
        weights: &[f64],
        at: usize,
        member: &[u8],
        score: f64,
        made: &ZSet,
    ) -> Option<f64> {
        match self.operation {
            Operation::Union => {
                let score = self.aggregate.weighted(score, weights[at]);
                Some(made.view().score(member).map_or(score, |known| self.aggregate.join(known, score)))
            }
            Operation::Inter => {
                let mut total = self.aggregate.weighted(score, weights[at]);
                for (other, weight) in inputs.iter().zip(weights).skip(1) {
                    total =
                        self.aggregate.join(total, self.aggregate.of_other(other.score(member)?, *weight));
                }
                Some(total)
            }
            Operation::Diff => inputs[1..].iter().all(|other| other.score(member).is_none()).then_some(score),
        }
    }
}

impl Sliced for Combining {
    fn step(
        &mut self,
        values: Values<'_>,
        elements: usize,
        reply: &mut Reply<'_>,
    ) -> Result<Step, CommandError> {
        let elements = elements.min(STEP_ELEMENTS);
        match self.phase {
            Phase::Reading(at, place) => {
                // Every member is looked for in the others.
                let elements = (elements / self.inputs.len()).max(1);
                self.read(values, (at, place), elements)?;
            }
            Phase::Showing(from) => {
                if from == 0 {
                    reply_list(self.made.len(), self.rules.with_scores, reply);
                }
                let (mut to, with_scores) = (from, self.rules.with_scores);
                for (member, score) in self.made.view().iter(from..from + elements, false) {
                    reply_pair(member, score, with_scores, reply);
                    to += 1;
                }
                self.phase = if to < self.made.len() { Phase::Showing(to) } else { Phase::Dropping };
            }
            Phase::Dropping if self.to.is_some() => return Ok(Step::Done),
            Phase::Dropping => {
                return Ok(if self.made.drop_some(elements) { Step::Done } else { Step::More });
            }
        }
        Ok(Step::More)
    }

    fn finish(&mut self, ctx: &mut Ctx<'_>, reply: &mut Reply<'_>) -> Result<Part, CommandError> {
        for (sent, _) in self.inputs.drain(..) {
            // As in `sets::sliced`.
            if let Some(value) = sent.and_then(Sent::into_last) {
                ctx.shard.bury(value);
            }
        }
        if self.rules.form == Form::Count {
            reply.int(self.count as i64);
        }
        if let Some((key, event)) = self.to.take() {
            let mut made = std::mem::take(&mut self.made);
            made.settle(&self.rules.limits);
            reply.int(made.len() as i64);
            ctx.keys().store(&key, made, event);
            if self.rules.aggregate == Aggregate::Count {
                // As in `combine`.
                ctx.say(|log, _| log.say_state());
            }
        }
        Ok(Part::Nothing)
    }
}
