//! SORT of a big collection by its own elements, in slices.
//!
//! ```text
//!  value ──▶ elements, in pieces
//!        └─▶ keys, sorted in runs ([`Runs`]) ──▶ reply or list
//! ```
//!
//! A key is eight bytes that order as the elements do, or not at all: the number itself, or the first bytes. Where keys
//! are the same the elements decide. Every step is short: no array holds everything, so none grows or goes at once.

use std::cmp::Ordering;
use std::ops::Range;

use super::elements::Elements;
use super::options::Options;
use super::order::{NOT_A_NUMBER, score};
use crate::commands::runs::Runs;
use crate::commands::sliced::{STEP_ELEMENTS, Sliced, Step, Values, is_full};
use crate::commands::{CommandError, Ctx, Part};
use crate::resp::{Argv, Reply};
use crate::shard::{Event, ValueView};
use crate::types::list::{End, NodeLimit, Place};
use crate::types::{Collection, List, Value};

/// Pieces and runs dropped in a step.
const DROPPED: usize = 8;

/// Begins, if it is worth it and about nothing but the elements of the value.
pub fn begin(ctx: &mut Ctx<'_>, argv: Argv<'_>, options: &Options<'_>) -> Option<Sorting> {
    if options.keeps_order || options.weight_pattern().is_some() || !options.gets.is_empty() {
        return None;
    }
    let above = ctx.shard.settings.slices_above;
    let limit = NodeLimit::new(ctx.shard.settings.encodings.list_node);
    let mut keys = ctx.keys();
    let entry = keys.peek(argv.get(1))?;
    let ValueView::Heap(value) = entry.value() else { return None };
    let place = match value {
        Value::List(list) => From::List(list.place(0)),
        Value::Set(_) => From::Set(0),
        Value::ZSet(_) => From::ZSet(0),
        _ => return None,
    };
    let len = value.copied_elements();
    if len <= above || u32::try_from(len).is_err() {
        return None;
    }
    // Counted and noted as the access that it is.
    ctx.keys().read(argv.get(1));
    let store = options.store.map(|at| (argv.get(at).into(), List::default(), limit));
    Some(Sorting {
        from: Some(place),
        order: By { alpha: options.alpha, descending: options.descending },
        elements: Elements::default(),
        runs: Runs::default(),
        wanted: options.range(len),
        taken: 0,
        begun: false,
        store,
    })
}

/// What is to be read next.
#[derive(Clone, Copy)]
enum From {
    List(Place),
    Set(u64),
    ZSet(usize),
}

#[derive(Clone, Copy)]
struct By {
    alpha: bool,
    descending: bool,
}

/// An element's key and its number.
#[derive(Clone, Copy)]
struct Item {
    key: u64,
    index: u32,
}

impl By {
    /// The key of an element; `None` when it is no number and should be.
    fn key(self, element: &[u8]) -> Option<u64> {
        if self.alpha {
            let mut first = [0; 8];
            let len = element.len().min(8);
            first[..len].copy_from_slice(&element[..len]);
            return Some(u64::from_be_bytes(first));
        }
        // One zero only; and then the bits of what is negative in reverse, below the others.
        let bits = (score(element)? + 0.0).to_bits();
        Some(if bits >> 63 == 1 { !bits } else { bits | 1 << 63 })
    }

    /// As `order::chosen` orders: by number or bytes, then by bytes, all of it perhaps reversed; then as they came.
    fn compare(self, elements: &Elements, a: &Item, b: &Item) -> Ordering {
        let bytes = || elements.get(a.index as usize).cmp(elements.get(b.index as usize));
        let order = a.key.cmp(&b.key).then_with(bytes);
        (if self.descending { order.reverse() } else { order }).then(a.index.cmp(&b.index))
    }
}

/// A SORT under way.
pub struct Sorting {
    /// Nothing when all are read.
    from: Option<From>,
    order: By,
    elements: Elements,
    runs: Runs<Item>,
    /// What LIMIT wants of the order.
    wanted: Range<usize>,
    taken: usize,
    begun: bool,
    /// The destination, what goes there, and how its nodes are filled.
    store: Option<(Box<[u8]>, List, NodeLimit)>,
}

impl Sorting {
    /// Reads about so many elements.
    fn read(&mut self, value: &Value, count: usize) -> Result<(), CommandError> {
        let Some(from) = self.from else { return Ok(()) };
        let before = self.elements.len();
        let elements = &mut self.elements;
        self.from = match (from, value) {
            (From::List(mut place), Value::List(list)) => {
                list.visit_from(&mut place, count, |item| {
                    elements.push_element(item.element());
                    true
                });
                (elements.len() < list.len()).then_some(From::List(place))
            }
            (From::Set(cursor), Value::Set(set)) => {
                let next = set.view().scan(cursor, count, &mut |member| elements.push_element(member));
                (next != 0).then_some(From::Set(next))
            }
            (From::ZSet(rank), Value::ZSet(zset)) => {
                let pairs = zset.view().iter(rank..rank + count, false);
                pairs.for_each(|(member, _)| elements.push_element(member));
                (rank + count < zset.len()).then_some(From::ZSet(rank + count))
            }
            _ => return Err(CommandError::WrongType),
        };
        let Sorting { order, elements, runs, .. } = self;
        let compare = |a: &Item, b: &Item| order.compare(elements, a, b);
        for index in before..elements.len() {
            let key = order.key(elements.get(index)).ok_or(NOT_A_NUMBER)?;
            runs.push(Item { key, index: index as u32 }, compare);
        }
        if self.from.is_none() {
            runs.end_run(compare);
        }
        Ok(())
    }

    /// Shows about so many elements in order; false when there are no more.
    fn show(&mut self, count: usize, reply: &mut Reply<'_>) -> bool {
        let Sorting { order, elements, runs, wanted, taken, store, .. } = self;
        for _ in 0..count {
            if *taken >= wanted.end || is_full(reply) {
                break;
            }
            let Some(item) = runs.pop(|a, b| order.compare(elements, a, b)) else { return false };
            *taken += 1;
            if *taken <= wanted.start {
                continue;
            }
            let element = elements.get(item.index as usize);
            match store {
                None => reply.bulk(element),
                Some((_, list, limit)) => list.push(End::Back, element, *limit),
            }
        }
        *taken < wanted.end
    }

    /// Drops a part of what is no longer needed; false when nothing is left.
    fn drop_some(&mut self) -> bool {
        let mut left = false;
        for _ in 0..DROPPED {
            left = self.elements.drop_some() | self.runs.drop_some();
        }
        left
    }
}

impl Sliced for Sorting {
    fn step(
        &mut self,
        values: Values<'_>,
        elements: usize,
        reply: &mut Reply<'_>,
    ) -> Result<Step, CommandError> {
        let elements = elements.min(STEP_ELEMENTS);
        if self.from.is_some() {
            return self.read(values.first()?, elements).map(|()| Step::More);
        }
        if !std::mem::replace(&mut self.begun, true) && self.store.is_none() {
            reply.array(self.wanted.len());
        }
        let goes_on = self.show(elements, reply) || self.drop_some();
        Ok(if goes_on { Step::More } else { Step::Done })
    }

    fn finish(&mut self, ctx: &mut Ctx<'_>, reply: &mut Reply<'_>) -> Result<Part, CommandError> {
        if let Some((key, list, _)) = self.store.take() {
            let stored = list.len() as u64;
            ctx.keys().store(&key, list, Event::SORTSTORE);
            // Redis: every element counts as a change.
            ctx.shard.effects.dirty += stored.saturating_sub(1);
            reply.int(stored as i64);
        }
        Ok(Part::Nothing)
    }
}
