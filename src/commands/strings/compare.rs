//! Comparing a value with what the client expects: IFEQ and its kin, DIGEST, and conditional deletion.

use xxhash_rust::xxh3::xxh3_64;

use super::bytes_of;
use crate::commands::keys::kind;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::{Event, ValueView};
use crate::types::Kind;

/// Length of a digest as text.
const DIGEST_CHARS: usize = 16;

/// What a value must be for a command to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition<'a> {
    Equal(&'a [u8]),
    NotEqual(&'a [u8]),
    DigestEqual(&'a [u8]),
    DigestNotEqual(&'a [u8]),
}

impl<'a> Condition<'a> {
    fn of(word: &[u8], wanted: &'a [u8]) -> Option<Condition<'a>> {
        let make = if word.eq_ignore_ascii_case(b"IFEQ") {
            Condition::Equal
        } else if word.eq_ignore_ascii_case(b"IFNE") {
            Condition::NotEqual
        } else if word.eq_ignore_ascii_case(b"IFDEQ") {
            Condition::DigestEqual
        } else if word.eq_ignore_ascii_case(b"IFDNE") {
            Condition::DigestNotEqual
        } else {
            return None;
        };
        Some(make(wanted))
    }

    /// Takes the next two arguments when they are a condition.
    pub fn option(args: &mut Args<'a>) -> Option<Condition<'a>> {
        let mut rest = *args;
        let (word, wanted) = (rest.take().ok()?, rest.take().ok()?);
        let condition = Condition::of(word, wanted)?;
        *args = rest;
        Some(condition)
    }

    /// True when both are the same option.
    pub fn is_same_kind(self, other: Condition<'_>) -> bool {
        std::mem::discriminant::<Condition<'_>>(&self) == std::mem::discriminant(&other)
    }

    /// A key that is not there differs from everything.
    pub fn holds_without_key(self) -> bool {
        matches!(self, Condition::NotEqual(_) | Condition::DigestNotEqual(_))
    }

    /// Compares. Redis: of a digest only the length is checked, and only when there is a string to compare with.
    pub fn holds(self, value: ValueView<'_>) -> Result<bool, CommandError> {
        let mut digits = itoa::Buffer::new();
        let bytes = bytes_of(value, &mut digits)?;
        Ok(match self {
            Condition::Equal(wanted) => bytes == wanted,
            Condition::NotEqual(wanted) => bytes != wanted,
            Condition::DigestEqual(wanted) => is_digest(bytes, wanted)?,
            Condition::DigestNotEqual(wanted) => !is_digest(bytes, wanted)?,
        })
    }
}

fn is_digest(bytes: &[u8], wanted: &[u8]) -> Result<bool, CommandError> {
    if wanted.len() != DIGEST_CHARS {
        return Err(CommandError::Line("ERR must be exactly 16 hexadecimal characters"));
    }
    Ok(digest_text(bytes).eq_ignore_ascii_case(wanted))
}

fn digest_text(bytes: &[u8]) -> [u8; DIGEST_CHARS] {
    let digest = xxh3_64(bytes);
    std::array::from_fn(|at| b"0123456789abcdef"[(digest >> (60 - 4 * at)) as usize & 15])
}

pub fn digest(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    match ctx.keys().read(args.take()?) {
        Some(entry) => {
            let mut digits = itoa::Buffer::new();
            reply.bulk(&digest_text(bytes_of(entry.value(), &mut digits)?));
        }
        None => reply.null(),
    }
    Ok(Outcome::Done)
}

pub fn delex(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let mut keys = ctx.keys();
    if args.is_done() {
        reply.int(i64::from(keys.remove(key, Event::DEL)));
        return Ok(Outcome::Done);
    }
    if args.left() != 2 {
        return Err(CommandError::WrongArity("delex"));
    }
    // Redis: without the key nothing more is checked, not even the name of the condition.
    let Some(entry) = keys.peek(key) else {
        reply.int(0);
        return Ok(Outcome::Done);
    };
    if kind(entry.value()) != Kind::String {
        return Err(CommandError::Line("ERR Key should be of string type if conditions are specified"));
    }
    let condition = Condition::option(args)
        .ok_or(CommandError::Line("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"))?;
    let holds = condition.holds(entry.value())?;
    reply.int(i64::from(holds && keys.remove(key, Event::DEL)));
    Ok(Outcome::Done)
}

pub fn delifeq(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, wanted) = (args.take()?, args.take()?);
    let mut keys = ctx.keys();
    let holds = match keys.peek(key) {
        Some(entry) => Condition::Equal(wanted).holds(entry.value())?,
        None => false,
    };
    reply.int(i64::from(holds && keys.remove(key, Event::DEL)));
    Ok(Outcome::Done)
}
