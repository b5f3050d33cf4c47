//! BITOP: strings combined bit by bit into another.
//!
//! The sources travel to the owner of the destination: long ones by reference, short ones copied.

use std::sync::Arc;

use crate::commands::spec::{Gathered, Hop, On};
use crate::commands::strings::bytes_of;
use crate::commands::{CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Reply};
use crate::shard::{Event, NewValue, ValueView};
use crate::types::Value;
use crate::types::bitfield::{Combine, combine};
use crate::types::raw::table::Ttl;

pub const BITOP: &[Hop] = &[Hop { on: On::Owners, run: fetch }, Hop { on: On::Key(0), run: store }];

/// A source by its order among the keys, of which the destination is the first.
type Source = (usize, Arc<Vec<u8>>);

fn how(argv: Argv<'_>) -> Result<Combine, CommandError> {
    let (how, is_from_x) = match argv.get(1).to_ascii_uppercase().as_slice() {
        b"AND" => (Combine::And, None),
        b"OR" => (Combine::Or, None),
        b"XOR" => (Combine::Xor, None),
        b"ONE" => (Combine::One, None),
        b"NOT" => (Combine::Not, None),
        b"DIFF" => (Combine::Diff, Some("ERR BITOP DIFF must be called with at least two source keys.")),
        b"DIFF1" => (Combine::Diff1, Some("ERR BITOP DIFF1 must be called with at least two source keys.")),
        b"ANDOR" => (Combine::AndOr, Some("ERR BITOP ANDOR must be called with at least two source keys.")),
        _ => return Err(CommandError::Syntax),
    };
    let sources = argv.len().saturating_sub(3);
    match is_from_x {
        Some(error) if sources < 2 => Err(CommandError::Line(error)),
        _ if how == Combine::Not && sources != 1 => {
            Err(CommandError::Line("ERR BITOP NOT must be called with a single source key."))
        }
        _ => Ok(how),
    }
}

fn fetch(ctx: &mut Ctx<'_>, argv: Argv<'_>, mine: &[usize], _: &mut Gathered) -> Result<Part, CommandError> {
    how(argv)?;
    let mut keys = ctx.keys();
    let mut sources: Vec<Source> = Vec::with_capacity(mine.len());
    for &order in mine.iter().filter(|order| **order > 0) {
        let Some(entry) = keys.read(argv.get(2 + order)) else { continue };
        let bytes = match entry.value() {
            ValueView::Heap(Value::String(bytes)) => bytes.clone(),
            value => Arc::new(bytes_of(value, &mut itoa::Buffer::new())?.to_vec()),
        };
        sources.push((order, bytes));
    }
    Ok(Part::Gathered(Box::new(sources)))
}

fn store(ctx: &mut Ctx<'_>, argv: Argv<'_>, _: &[usize], got: &mut Gathered) -> Result<Part, CommandError> {
    let how = how(argv)?;
    // What is not there is empty.
    let mut sources: Vec<&[u8]> = vec![&[]; argv.len() - 3];
    for part in got.parts(0) {
        let Part::Gathered(some) = part else { unreachable!("the first hop returns sources") };
        let some: &Vec<Source> = some.downcast_ref().expect("and nothing else");
        for (order, bytes) in some {
            sources[order - 1] = bytes;
        }
    }
    let result = combine(how, &sources);
    let len = result.len();
    let destination = argv.get(2);
    if len == 0 {
        ctx.keys().remove(destination, Event::DEL);
    } else {
        let value = NewValue::Value(Value::String(Arc::new(result)));
        ctx.keys().set(destination, value, Ttl::Clear, Event::SET);
    }
    if matches!(how, Combine::One | Combine::Diff | Combine::Diff1 | Combine::AndOr) {
        // Redis 7.0 does not know these.
        ctx.say(|log, _| log.say_state());
    }
    Ok(Part::Int(len as i64))
}

/// The length of what was stored.
pub fn finish(_: Argv<'_>, got: &mut Gathered, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let Part::Int(len) = got.only(1) else { unreachable!("the second hop returns a length") };
    reply.int(*len);
    Ok(Outcome::Done)
}
