//! Long work on a big list, in slices: LTRIM, LREM and LPOP of many elements, LPOS and LINSERT that have far to look.

use super::read::Search;
use super::{pop_event, reply_item};
use crate::commands::collection::change;
use crate::commands::sliced::{Changing, STEP_ELEMENTS, Sliced, Step, Values};
use crate::commands::{CommandError, Ctx, Part};
use crate::resp::Reply;
use crate::shard::{Event, Note};
use crate::types::list::{End, Item, NodeLimit, Place, Side, Spot};
use crate::types::{Collection, Element, List, Value};

/// Of a value that was looked up, pinned, and can be nothing else.
fn list_of(value: &mut Value) -> &mut List {
    List::of_mut(value).expect("it was a list when it was pinned")
}

/// Says what was done to a list, unless its key is gone.
fn note(ctx: &mut Ctx<'_>, key: &[u8], note: impl FnOnce(&mut Note)) -> Result<(), CommandError> {
    change(&mut ctx.keys(), key, false, |_: &mut List, its| {
        note(its);
        Ok(())
    })?;
    Ok(())
}

/// LTRIM: drops elements at both ends.
pub struct Trimming {
    pub key: Box<[u8]>,
    /// How many are still to go, and were to go at first.
    pub front: usize,
    pub back: usize,
    pub all: usize,
}

impl Changing for Trimming {
    fn step(&mut self, value: &mut Value, elements: usize, _: &mut Reply<'_>) -> Step {
        let list = list_of(value);
        let count = elements.min(STEP_ELEMENTS);
        let front = count.min(self.front);
        let back = (count - front).min(self.back);
        list.drop_end(End::Front, front);
        list.drop_end(End::Back, back);
        self.front -= front;
        self.back -= back;
        if self.front + self.back == 0 { Step::Done } else { Step::More }
    }

    fn finish(&mut self, ctx: &mut Ctx<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        note(ctx, &self.key, |note| note.events_of(Event::LTRIM, self.all as u64))?;
        reply.ok();
        Ok(())
    }
}

/// LPOP and RPOP.
pub struct Popping {
    pub key: Box<[u8]>,
    pub end: End,
    pub left: usize,
    pub all: usize,
}

impl Changing for Popping {
    fn step(&mut self, value: &mut Value, elements: usize, reply: &mut Reply<'_>) -> Step {
        if self.left == self.all {
            reply.array(self.all);
        }
        let count = elements.min(STEP_ELEMENTS).min(self.left);
        list_of(value).pop(self.end, count, |item| reply_item(item, reply));
        self.left -= count;
        if self.left == 0 { Step::Done } else { Step::More }
    }

    fn finish(&mut self, ctx: &mut Ctx<'_>, _: &mut Reply<'_>) -> Result<(), CommandError> {
        note(ctx, &self.key, |note| note.events_of(pop_event(self.end), self.all as u64))
    }
}

/// LREM.
pub struct Removing {
    pub key: Box<[u8]>,
    pub value: Box<[u8]>,
    pub end: End,
    pub most: usize,
    pub removed: usize,
    /// How many nodes were looked through.
    pub nodes: usize,
}

impl Changing for Removing {
    fn step(&mut self, value: &mut Value, elements: usize, _: &mut Reply<'_>) -> Step {
        let list = list_of(value);
        let (most, count) = (self.most - self.removed, elements.min(STEP_ELEMENTS));
        self.removed += list.remove_some(&self.value, self.end, most, &mut self.nodes, count);
        if self.removed < self.most && self.nodes < list.node_count() {
            return Step::More;
        }
        list.forget_empty_nodes();
        Step::Done
    }

    fn finish(&mut self, ctx: &mut Ctx<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        if self.removed > 0 {
            note(ctx, &self.key, |note| note.events_of(Event::LREM, self.removed as u64))?;
        }
        reply.int(self.removed as i64);
        Ok(())
    }
}

/// LINSERT: looks in slices, inserts at the end.
pub struct Inserting {
    pub key: Box<[u8]>,
    pub side: Side,
    pub pivot: Box<[u8]>,
    pub value: Box<[u8]>,
    pub limit: NodeLimit,
    pub nodes: usize,
    pub found: Option<Spot>,
}

impl Sliced for Inserting {
    fn step(&mut self, values: Values<'_>, elements: usize, _: &mut Reply<'_>) -> Result<Step, CommandError> {
        let list = List::of(values.first()?).ok_or(CommandError::WrongType)?;
        self.found = list.find_some(&self.pivot, &mut self.nodes, elements.min(STEP_ELEMENTS));
        let goes_on = self.found.is_none() && self.nodes < list.node_count();
        Ok(if goes_on { Step::More } else { Step::Done })
    }

    fn finish(&mut self, ctx: &mut Ctx<'_>, reply: &mut Reply<'_>) -> Result<Part, CommandError> {
        let Some(spot) = self.found else {
            reply.int(-1);
            return Ok(Part::Nothing);
        };
        let len = change(&mut ctx.keys(), &self.key, false, |list: &mut List, note| {
            list.insert_at(spot, self.side, &self.value, self.limit);
            note.event(Event::LINSERT);
            Ok(list.len())
        })?;
        // Nothing when it expired meanwhile.
        reply.int(len.unwrap_or(0) as i64);
        Ok(Part::Nothing)
    }
}

/// LPOS.
pub struct Looking {
    pub search: Search<Box<[u8]>>,
    pub place: Place,
    /// How many elements were compared, and matches told.
    pub seen: usize,
    pub told: usize,
}

impl Sliced for Looking {
    fn step(
        &mut self,
        values: Values<'_>,
        elements: usize,
        reply: &mut Reply<'_>,
    ) -> Result<Step, CommandError> {
        let list = List::of(values.first()?).ok_or(CommandError::WrongType)?;
        let most = self.search.max_len.min(list.len());
        let (wanted, len) = (self.search.count.unwrap_or(1), list.len());
        let count = elements.min(STEP_ELEMENTS).min(most - self.seen);
        let Looking { search: Search { element, backwards, skip, .. }, place, seen, told } = self;
        let element = Element::of(element);
        let visit = |item: Item<'_>| {
            let index = if *backwards { len - 1 - *seen } else { *seen };
            *seen += 1;
            if item.element() != element {
                return true;
            }
            if *skip > 0 {
                *skip -= 1;
                return true;
            }
            reply.int(index as i64);
            *told += 1;
            *told < wanted
        };
        if *backwards {
            list.visit_back_from(place, count, visit);
        } else {
            list.visit_from(place, count, visit);
        }
        Ok(if self.told < wanted && self.seen < most { Step::More } else { Step::Done })
    }

    fn finish(&mut self, _: &mut Ctx<'_>, reply: &mut Reply<'_>) -> Result<Part, CommandError> {
        if self.search.count.is_none() && self.told == 0 {
            reply.null();
        }
        Ok(Part::Nothing)
    }

    fn head(&self, reply: &mut Reply<'_>) {
        if self.search.count.is_some() {
            reply.array(self.told);
        }
    }
}
