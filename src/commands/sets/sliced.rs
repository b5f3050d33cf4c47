//! Set operations over big sets of one shard, in slices.

use smallvec::SmallVec;

use super::combine::Operation;
use super::reply_member;
use crate::commands::sliced::{STEP_ELEMENTS, Sliced, Step, Values};
use crate::commands::{CommandError, Ctx, Outcome, Part};
use crate::resp::Reply;
use crate::shard::{Event, ValueView};
use crate::types::set::{How, SetView, Walk};
use crate::types::{Collection, Encodings, Set};

/// What becomes of the result.
pub enum Goal {
    Members,
    Store { key: Box<[u8]>, made: Set, event: Event },
    Card { limit: usize },
}

/// An operation under way.
pub struct Combining {
    how: How,
    /// Copies of what is too small to be pinned; `None` for the next that is pinned.
    inputs: Vec<Option<Set>>,
    walk: Walk,
    goal: Goal,
    limits: Encodings,
    count: usize,
}

impl Combining {
    /// Begins with the sets under these keys, which were read.
    pub fn begin<'k, O: Operation>(
        ctx: &mut Ctx<'_>,
        names: impl Iterator<Item = &'k [u8]>,
        goal: Goal,
    ) -> Result<Outcome, CommandError> {
        let (mut inputs, mut pinned) = (Vec::new(), Vec::new());
        let limits = ctx.shard.settings.encodings;
        for name in names {
            let mut keys = ctx.keys();
            let input = match keys.peek(name).map(|entry| entry.value()) {
                None => Some(Set::default()),
                Some(ValueView::Packed(form, bytes)) => Some(Set::unpack(form, bytes)),
                Some(_) => {
                    pinned.push(name);
                    None
                }
            };
            inputs.push(input);
        }
        let (how, walk) = (O::HOW, Walk::default());
        ctx.in_slices_over(&pinned, Combining { how, inputs, walk, goal, limits, count: 0 })
    }
}

impl Sliced for Combining {
    fn step(
        &mut self,
        values: Values<'_>,
        elements: usize,
        reply: &mut Reply<'_>,
    ) -> Result<Step, CommandError> {
        let pinned = values.all()?;
        let mut pinned = pinned.iter();
        let mut sets: SmallVec<[SetView<'_>; 8]> = SmallVec::new();
        for input in &self.inputs {
            let set = match input {
                Some(copy) => Some(copy),
                None => pinned.next().and_then(|value| Set::of(value)),
            };
            sets.push(set.ok_or(CommandError::WrongType)?.view());
        }
        let (goal, limits, count) = (&mut self.goal, &self.limits, &mut self.count);
        let mut digits = itoa::Buffer::new();
        if let Goal::Store { made, .. } = goal {
            // The members come in the order in which other sets have them.
            made.expect(self.how.members(&sets));
        }
        // Every member is looked for in all others.
        let elements = (elements.min(STEP_ELEMENTS) / sets.len()).max(1);
        let goes_on = self.walk.step(self.how, &sets, elements, &mut |member| {
            *count += 1;
            match goal {
                Goal::Members => reply_member(member, reply),
                Goal::Store { made, .. } => drop(made.insert(member.as_bytes(&mut digits), limits)),
                Goal::Card { limit } => return *count < *limit,
            }
            true
        });
        Ok(if goes_on { Step::More } else { Step::Done })
    }

    fn finish(&mut self, ctx: &mut Ctx<'_>, reply: &mut Reply<'_>) -> Result<Part, CommandError> {
        match &mut self.goal {
            Goal::Members => {}
            Goal::Store { key, made, event } => {
                reply.int(made.len() as i64);
                ctx.keys().store(key, std::mem::take(made), *event);
            }
            Goal::Card { .. } => reply.int(self.count as i64),
        }
        Ok(Part::Nothing)
    }

    fn head(&self, reply: &mut Reply<'_>) {
        if let Goal::Members = self.goal {
            reply.set(self.count);
        }
    }
}
