//! Sorted sets.
//!
//! [`rows`] is the table of contents. What a sorted set is and how it is held is [`crate::types::zset`]'s; commands see
//! ranks, scores and members. Every range, whatever it is given by, becomes a range of ranks first.

mod add;
mod combine;
mod inputs;
mod pop;
mod random;
mod range;
mod read;
mod remove;
mod rows;
mod scan;
mod sliced;
#[cfg(test)]
mod tests;

use super::error::CommandError;
use crate::resp::{Protocol, Reply};
use crate::types::listpack::Element;
use crate::types::number::parse_f64;
use crate::types::zset::{Full, LexBound, LexRange, ScoreBound, ScoreRange};

pub use add::{Flags, add_scores};
pub use combine::made_of;
pub use read::each_score;
pub use rows::ROWS;

/// What is answered when a sorted set has as many members as one can have.
pub fn full(Full: Full) -> CommandError {
    CommandError::Line("ERR a sorted set cannot hold more than 16 GiB of members")
}

/// Writes a member.
#[inline]
pub fn reply_member(member: Element<'_>, reply: &mut Reply<'_>) {
    match member {
        Element::Int(value) => reply.bulk_int(value),
        Element::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Writes the header of a list of members. With scores a list is flat in RESP2, and in RESP3 a list of pairs.
pub fn reply_list(len: usize, with_scores: bool, reply: &mut Reply<'_>) {
    let is_flat = with_scores && reply.protocol == Protocol::Resp2;
    reply.array(if is_flat { len * 2 } else { len });
}

/// Writes an element of such a list.
pub fn reply_pair(member: Element<'_>, score: f64, with_scores: bool, reply: &mut Reply<'_>) {
    if with_scores && reply.protocol == Protocol::Resp3 {
        reply.array(2);
    }
    reply_member(member, reply);
    if with_scores {
        reply.double(score);
    }
}

/// A range of scores as clients write it: numbers, `(` before what is excluded.
pub fn score_range(min: &[u8], max: &[u8]) -> Result<ScoreRange, CommandError> {
    let range = score_bound(min).zip(score_bound(max)).map(|(min, max)| ScoreRange { min, max });
    range.ok_or(CommandError::Line("ERR min or max is not a float"))
}

fn score_bound(text: &[u8]) -> Option<ScoreBound> {
    let (exclusive, number) = match text {
        [b'(', number @ ..] => (true, number),
        number => (false, number),
    };
    Some(ScoreBound { score: strtod(number)?, exclusive })
}

/// Redis: what C's `strtod` reads: white space before it is skipped, a zero byte ends it, nothing is 0, and what is too
/// big is infinite.
fn strtod(text: &[u8]) -> Option<f64> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | 9..=13)).count();
    let number = &text[blanks..];
    parse_f64(number).or_else(|| {
        let is_decimal = number.iter().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte));
        std::str::from_utf8(number).ok().filter(|_| is_decimal)?.parse().ok()
    })
}

/// A range of members as clients write it: `[` or `(` before them, `-` and `+` for the ends.
pub fn lex_range<'a>(min: &'a [u8], max: &'a [u8]) -> Result<LexRange<'a>, CommandError> {
    let range = lex_bound(min).zip(lex_bound(max)).map(|(min, max)| LexRange { min, max });
    range.ok_or(CommandError::Line("ERR min or max not valid string range item"))
}

fn lex_bound(text: &[u8]) -> Option<LexBound<'_>> {
    match text {
        [b'-'] | [b'-', 0, ..] => Some(LexBound::First),
        [b'+'] | [b'+', 0, ..] => Some(LexBound::Last),
        [b'[', member @ ..] => Some(LexBound::Inclusive(member)),
        [b'(', member @ ..] => Some(LexBound::Exclusive(member)),
        _ => None,
    }
}

/// The ranks that two positions mean, both included and from the end when negative.
pub fn clamp_ranks(start: i64, end: i64, len: usize) -> std::ops::Range<usize> {
    let len = len as i64;
    let from_end = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
    let (start, end) = (from_end(start).max(0), from_end(end).min(len - 1));
    if start > end { 0..0 } else { start as usize..end as usize + 1 }
}
