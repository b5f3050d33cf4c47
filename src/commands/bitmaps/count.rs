//! Whole ranges of bits: BITCOUNT, BITPOS.

use std::ops::Range;

use crate::commands::strings::bytes_of;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::types::bitfield::{count_range, find_in_range};

pub fn bitcount(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let mut keys = ctx.keys();
    // Redis: up to version 7 nothing is wrong with the range of a key that is not there.
    let Some(entry) = keys.read(key) else {
        reply.int(0);
        return Ok(Outcome::Done);
    };
    let mut digits = itoa::Buffer::new();
    let bytes = bytes_of(entry.value(), &mut digits)?;
    let range = match args.left() {
        0 => 0..bytes.len() as u64 * 8,
        2 | 3 => {
            let (start, end) = (args.int()?, args.int()?);
            if start < 0 && end < 0 && start > end {
                reply.int(0);
                return Ok(Outcome::Done);
            }
            let unit = unit(args)?;
            bits_between(start, end, bytes.len(), unit)
        }
        _ => return Err(CommandError::Syntax),
    };
    reply.int(count_range(bytes, range) as i64);
    Ok(Outcome::Done)
}

pub fn bitpos(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let wanted = match args.int()? {
        0 => false,
        1 => true,
        _ => return Err(CommandError::Line("ERR The bit argument must be 1 or 0.")),
    };
    let mut keys = ctx.keys();
    // Redis: a key that is not there is zeros without end, wherever one looks.
    let Some(entry) = keys.read(key) else {
        reply.int(if wanted { -1 } else { 0 });
        return Ok(Outcome::Done);
    };
    let mut digits = itoa::Buffer::new();
    let bytes = bytes_of(entry.value(), &mut digits)?;
    let len = bytes.len() as u64 * 8;
    let (range, has_end) = match args.left() {
        0 => (0..len, false),
        1 => (bits_between(args.int()?, -1, bytes.len(), Unit::Byte), false),
        2 | 3 => {
            let start = args.int()?;
            // Redis: the unit is looked at before the end.
            let end = *args;
            args.take()?;
            let unit = unit(args)?;
            (bits_between(start, { end }.int()?, bytes.len(), unit), true)
        }
        _ => return Err(CommandError::Syntax),
    };
    let is_empty = range.is_empty();
    let at = match find_in_range(bytes, wanted, range) {
        Some(at) => at as i64,
        // Zeros follow the string, unless one said where to stop.
        None if !wanted && !has_end && !is_empty => len as i64,
        None => -1,
    };
    reply.int(at);
    Ok(Outcome::Done)
}

#[derive(Clone, Copy)]
enum Unit {
    Byte,
    Bit,
}

/// The unit at the end of the arguments; a byte when there is none.
fn unit(args: &mut Args<'_>) -> Result<Unit, CommandError> {
    if args.is_done() || args.token("BYTE") {
        Ok(Unit::Byte)
    } else if args.token("BIT") {
        Ok(Unit::Bit)
    } else {
        Err(CommandError::Syntax)
    }
}

/// The bits that an inclusive range with negative positions counted from the end means.
fn bits_between(start: i64, end: i64, len: usize, unit: Unit) -> Range<u64> {
    let bits = match unit {
        Unit::Byte => 8,
        Unit::Bit => 1,
    };
    let len = len as i64 * 8 / bits;
    let from_end = |at: i64| if at < 0 { (at + len).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(len - 1));
    if start > end { 0..0 } else { (start * bits) as u64..((end + 1) * bits) as u64 }
}
