//! Lists.
//!
//! [`rows`] is the table of contents; [`crate::types::list`] is what a list is.
//!
//! A handler opens its list through [`collection`](super::collection) and writes elements into the reply where it sees
//! them, without copies in between: LRANGE goes from the bytes of the nodes to those of the reply.

mod between;
mod ends;
mod moves;
mod pops;
mod read;
mod rows;
mod sliced;
#[cfg(test)]
mod tests;

use super::args::Args;
use super::context::Ctx;
use super::error::CommandError;
use crate::resp::Reply;
use crate::shard::Event;
use crate::shard::log::Log;
use crate::types::DbIndex;
use crate::types::Element;
use crate::types::list::{End, Item, NodeLimit};

pub use rows::ROWS;

/// How much goes into a node (`list-max-listpack-size`).
#[inline]
fn node_limit(ctx: &Ctx<'_>) -> NodeLimit {
    NodeLimit::new(ctx.shard.settings.encodings.list_node)
}

/// Writes an element as a bulk; big ones are referred to, not copied.
#[inline]
fn reply_item(item: Item<'_>, reply: &mut Reply<'_>) {
    match item {
        Item::Element(Element::Bytes(bytes)) => reply.bulk(bytes),
        Item::Element(Element::Int(value)) => reply.bulk_int(value),
        Item::Large(bytes) => reply.bulk_shared(bytes, 0..bytes.len()),
    }
}

/// LEFT or RIGHT.
fn end_of(args: &mut Args<'_>) -> Result<End, CommandError> {
    if args.token("LEFT") {
        Ok(End::Front)
    } else if args.token("RIGHT") {
        Ok(End::Back)
    } else {
        Err(CommandError::Syntax)
    }
}

fn push_event(end: End) -> Event {
    match end {
        End::Front => Event::LPUSH,
        End::Back => Event::RPUSH,
    }
}

fn pop_event(end: End) -> Event {
    match end {
        End::Front => Event::LPOP,
        End::Back => Event::RPOP,
    }
}

/// Says that elements left a list, by the plain command that does nothing else.
fn say_pop(log: &mut Log, db: DbIndex, key: &[u8], end: End, count: usize) {
    let name: &[u8] = if end == End::Front { b"LPOP" } else { b"RPOP" };
    match count {
        1 => log.say(db, &[name, key]),
        count => log.say(db, &[name, key, itoa::Buffer::new().format(count).as_bytes()]),
    }
}

/// The elements that an inclusive range with negative positions counted from the end means: the first, and how many.
fn range_of(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let from_end = |at: i64| if at < 0 { at + len } else { at };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(len - 1));
    if start > stop { (len as usize, 0) } else { (start as usize, (stop - start + 1) as usize) }
}
