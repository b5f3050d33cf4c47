//! Searches that look at many members, in slices.
//!
//! Without an order what is found is shown, or stored, at once. With one, its ranks are sorted by distance first.

use std::cmp::Ordering;
use std::ops::Range;

use smallvec::SmallVec;

use super::search::{Found, Query, Store};
use super::store::Made;
use crate::commands::runs::Runs;
use crate::commands::sliced::{STEP_ELEMENTS, Sliced, Step, Values, is_full};
use crate::commands::zsets::full;
use crate::commands::{CommandError, Ctx, Part};
use crate::resp::Reply;
use crate::shard::Event;
use crate::types::{Collection, Encodings, ZSet};

/// What becomes of what is found.
enum Goal {
    Shown,
    /// Stored under a key of this shard.
    Stored(Box<[u8]>, Event),
    /// Sent to where it is stored: the argument that is the destination, and its order among the keys.
    Sent(usize, usize),
}

/// A member that was found.
#[derive(Clone, Copy)]
struct Hit {
    /// Orders as the distance does, or in reverse.
    key: u64,
    rank: u32,
    /// When it was found, which decides where distances are the same.
    number: u32,
}

impl Hit {
    fn compare(a: &Hit, b: &Hit) -> Ordering {
        (a.key, a.number).cmp(&(b.key, b.number))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Looking,
    /// In order.
    Taking,
    Dropping,
}

/// A search under way.
pub struct Searching {
    query: Query,
    /// The ranks that are left, the next ones last.
    ranges: SmallVec<[Range<usize>; 9]>,
    limits: Encodings,
    goal: Goal,
    phase: Phase,
    found: usize,
    runs: Runs<Hit>,
    taken: usize,
    made: ZSet,
}

impl Searching {
    pub fn new(query: Query, mut ranges: SmallVec<[Range<usize>; 9]>, limits: Encodings) -> Searching {
        ranges.reverse();
        Searching {
            query,
            ranges,
            limits,
            goal: Goal::Shown,
            phase: Phase::Looking,
            found: 0,
            runs: Runs::default(),
            taken: 0,
            made: ZSet::new_sorted(),
        }
    }

    /// Where the result goes.
    pub fn store(&self) -> Option<Store> {
        self.query.store
    }

    /// To be stored here, if anywhere.
    pub fn storing(mut self, to: Option<(Box<[u8]>, Event)>) -> Searching {
        self.goal = to.map_or(Goal::Shown, |(key, event)| Goal::Stored(key, event));
        self
    }

    /// To be sent to where it is stored, if anywhere.
    pub fn sending(mut self, to: Option<(usize, usize)>) -> Searching {
        self.goal = to.map_or(Goal::Shown, |(index, order)| Goal::Sent(index, order));
        self
    }

    fn take(&mut self, found: &Found<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        self.taken += 1;
        match self.query.store {
            None => self.query.reply_one(found, reply),
            Some(store) => {
                let member = found.member.as_bytes(&mut itoa::Buffer::new()).to_vec();
                self.made.add(&member, found.stored(store), &self.limits).map_err(full)?;
            }
        }
        Ok(())
    }

    /// Looks at about so many members.
    fn look(&mut self, zset: &ZSet, elements: usize, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        let Some(ranks) = self.ranges.last_mut() else {
            self.phase = if self.query.order().is_some() { Phase::Taking } else { Phase::Dropping };
            self.runs.end_run(Hit::compare);
            return Ok(());
        };
        let from = ranks.start;
        ranks.start = ranks.end.min(from.saturating_add(elements));
        let now = from..ranks.start;
        if ranks.start == ranks.end {
            self.ranges.pop();
        }
        let (order, enough) = (self.query.order(), self.query.enough());
        for (rank, pair) in now.clone().zip(zset.view().iter(now, false)) {
            let Some(found) = self.query.found(pair) else { continue };
            match order {
                None => self.take(&found, reply)?,
                Some(descending) => {
                    let key = key_of(found.distance);
                    let key = if descending { !key } else { key };
                    let hit = Hit { key, rank: rank as u32, number: self.found as u32 };
                    self.runs.push(hit, Hit::compare);
                }
            }
            self.found += 1;
            if self.found >= enough {
                self.ranges.clear();
                break;
            }
        }
        Ok(())
    }

    /// Takes about so many of what was found, in order.
    fn take_some(&mut self, zset: &ZSet, elements: usize, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        for _ in 0..elements {
            let hit = if self.taken < self.query.most() { self.runs.pop(Hit::compare) } else { None };
            let Some(Hit { rank, .. }) = hit else {
                self.phase = Phase::Dropping;
                break;
            };
            let pair = zset.view().iter(rank as usize..rank as usize + 1, false).next();
            if let Some(found) = pair.and_then(|pair| self.query.found(pair)) {
                self.take(&found, reply)?;
            }
            if is_full(reply) {
                break;
            }
        }
        Ok(())
    }
}

/// A number that orders as distances do ([`f64::total_cmp`]).
fn key_of(distance: f64) -> u64 {
    let bits = distance.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

impl Sliced for Searching {
    fn step(
        &mut self,
        values: Values<'_>,
        elements: usize,
        reply: &mut Reply<'_>,
    ) -> Result<Step, CommandError> {
        let zset = ZSet::of(values.first()?).ok_or(CommandError::WrongType)?;
        let elements = elements.min(STEP_ELEMENTS);
        match self.phase {
            Phase::Looking => self.look(zset, elements, reply)?,
            Phase::Taking => self.take_some(zset, elements, reply)?,
            Phase::Dropping if self.runs.drop_some() => {}
            Phase::Dropping => return Ok(Step::Done),
        }
        Ok(Step::More)
    }

    fn finish(&mut self, ctx: &mut Ctx<'_>, reply: &mut Reply<'_>) -> Result<Part, CommandError> {
        let mut made = std::mem::take(&mut self.made);
        made.settle(&self.limits);
        match std::mem::replace(&mut self.goal, Goal::Shown) {
            Goal::Shown => {}
            Goal::Stored(key, event) => {
                reply.int(made.len() as i64);
                ctx.keys().store(&key, made, event);
                // As when it is short.
                ctx.say(|log, _| log.say_state());
            }
            Goal::Sent(index, order) => {
                return Ok(Part::Gathered(Box::new(Made { index, order, zset: made })));
            }
        }
        Ok(Part::Nothing)
    }

    fn head(&self, reply: &mut Reply<'_>) {
        if self.query.store.is_none() {
            reply.array(self.taken);
        }
    }
}
