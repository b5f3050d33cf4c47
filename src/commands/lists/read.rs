//! Looking at a list: LLEN, LRANGE, LINDEX, LPOS.

use super::sliced::Looking;
use super::{range_of, reply_item};
use crate::commands::collection::read;
use crate::commands::sliced::{Sliced, Step, Values, is_full};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::types::list::{Item, ListView, Place};
use crate::types::number::parse_i64;
use crate::types::{Collection, Element, List};

pub fn llen(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let len = read::<List>(&mut ctx.keys(), args.take()?)?.map_or(0, |list| list.len());
    reply.int(len as i64);
    Ok(Outcome::Done)
}

pub fn lrange(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, start, stop) = (args.take()?, args.int()?, args.int()?);
    let above = ctx.shard.settings.slices_above;
    let mut keys = ctx.keys();
    let Some(list) = read::<List>(&mut keys, key)? else {
        reply.array(0);
        return Ok(Outcome::Done);
    };
    let (start, count) = range_of(start, stop, list.len());
    if count > above
        && let ListView::Heap(list) = list
    {
        let range = Range { place: list.place(start), left: count, begun: false };
        return ctx.in_slices(key, range);
    }
    reply.array(count);
    list.visit(start, count, |item| {
        reply_item(item, reply);
        true
    });
    Ok(Outcome::Done)
}

/// A long range of a big list.
struct Range {
    place: Place,
    left: usize,
    begun: bool,
}

impl Sliced for Range {
    fn step(
        &mut self,
        values: Values<'_>,
        elements: usize,
        reply: &mut Reply<'_>,
    ) -> Result<Step, CommandError> {
        let list = List::of(values.first()?).ok_or(CommandError::WrongType)?;
        if !std::mem::replace(&mut self.begun, true) {
            reply.array(self.left);
        }
        let mut shown = 0;
        list.visit_from(&mut self.place, elements.min(self.left), |item| {
            reply_item(item, reply);
            shown += 1;
            !is_full(reply)
        });
        self.left -= shown;
        Ok(if self.left == 0 { Step::Done } else { Step::More })
    }
}

pub fn lindex(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let mut keys = ctx.keys();
    // Redis: without a list the index is not even read.
    let Some(list) = read::<List>(&mut keys, key)? else {
        reply.null();
        return Ok(Outcome::Done);
    };
    match list.get(args.int()?) {
        Some(item) => reply_item(item, reply),
        None => reply.null(),
    }
    Ok(Outcome::Done)
}

/// The options of LPOS.
#[derive(Clone, Copy)]
pub struct Search<E> {
    pub element: E,
    pub backwards: bool,
    /// Matches to leave out.
    pub skip: u64,
    /// How many matches to tell, `usize::MAX` for all; `None`: the first alone, not as an array.
    pub count: Option<usize>,
    /// How many elements to compare.
    pub max_len: usize,
}

impl<'a> Search<&'a [u8]> {
    fn take(args: &mut Args<'a>) -> Result<Search<&'a [u8]>, CommandError> {
        let element = args.take()?;
        let mut search = Search { element, backwards: false, skip: 0, count: None, max_len: usize::MAX };
        while !args.is_done() {
            let has_value = args.left() >= 2;
            if has_value && args.token("RANK") {
                let rank = args.int()?;
                if rank == 0 {
                    return Err(CommandError::Line(
                        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
                         negative to start from the end of the list",
                    ));
                }
                search.backwards = rank < 0;
                search.skip = rank.unsigned_abs() - 1;
            } else if has_value && args.token("COUNT") {
                search.count = Some(all_if_zero(args, "ERR COUNT can't be negative")?);
            } else if has_value && args.token("MAXLEN") {
                search.max_len = all_if_zero(args, "ERR MAXLEN can't be negative")?;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(search)
    }

    /// The same, to be kept.
    fn to_owned(self) -> Search<Box<[u8]>> {
        let Search { element, backwards, skip, count, max_len } = self;
        Search { element: element.into(), backwards, skip, count, max_len }
    }

    /// Are enough matches among the first `near` elements that are compared?
    fn ends_near(&self, list: &List, near: usize) -> bool {
        let (wanted, mut found) = (self.count.unwrap_or(1), 0);
        Search { max_len: near, ..*self }.run(ListView::Heap(list), |_| {
            found += 1;
            found < wanted
        });
        found >= wanted
    }

    /// Tells the index of each match until `see` has seen enough.
    fn run(&self, list: ListView<'_>, mut see: impl FnMut(usize) -> bool) {
        let (len, element) = (list.len(), Element::of(self.element));
        let (mut seen, mut skip) = (0, self.skip);
        let visit = |item: Item<'_>| {
            let step = seen;
            seen += 1;
            if item.element() != element {
                return true;
            }
            if skip > 0 {
                skip -= 1;
                return true;
            }
            see(if self.backwards { len - 1 - step } else { step })
        };
        if self.backwards {
            list.visit_back(len - 1, self.max_len, visit);
        } else {
            list.visit(0, self.max_len, visit);
        }
    }
}

fn all_if_zero(args: &mut Args<'_>, error: &'static str) -> Result<usize, CommandError> {
    match parse_i64(args.take()?).map(usize::try_from) {
        Some(Ok(0)) => Ok(usize::MAX),
        Some(Ok(count)) => Ok(count),
        _ => Err(CommandError::Line(error)),
    }
}

pub fn lpos(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let search = Search::take(args)?;
    let above = ctx.shard.settings.slices_above;
    let mut keys = ctx.keys();
    let list = read::<List>(&mut keys, key)?;
    if let Some(ListView::Heap(list)) = list
        && list.len().min(search.max_len) > above
        && !search.ends_near(list, above)
    {
        let place = if search.backwards { list.place_back() } else { list.place(0) };
        return ctx.in_slices(key, Looking { search: search.to_owned(), place, seen: 0, told: 0 });
    }
    let Some(count) = search.count else {
        let mut first = None;
        if let Some(list) = list {
            search.run(list, |index| {
                first = Some(index);
                false
            });
        }
        match first {
            Some(index) => reply.int(index as i64),
            None => reply.null(),
        }
        return Ok(Outcome::Done);
    };
    let deferred = reply.deferred();
    let mut found = 0;
    if let Some(list) = list {
        search.run(list, |index| {
            reply.int(index as i64);
            found += 1;
            found < count
        });
    }
    reply.fill_array(deferred, found);
    Ok(Outcome::Done)
}
