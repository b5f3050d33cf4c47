//! Set operations over big sets, in slices: sets of one shard, which are pinned, or of several, which are shared.

use std::sync::Arc;

use smallvec::SmallVec;

use super::combine::Operation;
use super::reply_member;
use crate::commands::sliced::{STEP_ELEMENTS, Sliced, Slices, Step, Values};
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

/// Where a set is.
pub enum Source {
    /// It is the next of those that are pinned.
    Pinned,
    /// A copy of what is too small to be pinned, or another shard's.
    Kept(Arc<Set>),
}

/// An operation under way.
pub struct Combining {
    how: How,
    sources: Vec<Source>,
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
        let (mut sources, mut pinned) = (Vec::new(), Vec::new());
        for name in names {
            let mut keys = ctx.keys();
            sources.push(match keys.peek(name).map(|entry| entry.value()) {
                None => Source::Kept(Arc::default()),
                Some(ValueView::Packed(form, bytes)) => Source::Kept(Set::unpack(form, bytes).into()),
                Some(_) => {
                    pinned.push(name);
                    Source::Pinned
                }
            });
        }
        let combining = Combining::of::<O>(ctx, sources, goal);
        ctx.in_slices_over(&pinned, combining)
    }

    pub fn of<O: Operation>(ctx: &Ctx<'_>, sources: Vec<Source>, goal: Goal) -> Combining {
        let limits = ctx.shard.settings.encodings;
        Combining { how: O::HOW, sources, walk: Walk::default(), goal, limits, count: 0 }
    }

    /// Over what is not pinned, as a hop.
    pub fn apart(self) -> Part {
        Part::Slices(Slices::new(Vec::new(), self))
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
        for source in &self.sources {
            let set = match source {
                Source::Kept(set) => Some(&**set),
                Source::Pinned => pinned.next().and_then(|value| Set::of(value)),
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
        for source in self.sources.drain(..) {
            // Its key may have gone meanwhile: then nobody else is left to drop it.
            if let Source::Kept(set) = source
                && let Some(set) = Arc::into_inner(set)
            {
                ctx.shard.bury(set.into_value());
            }
        }
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
