//! Random elements: the arguments that SRANDMEMBER, HRANDFIELD and ZRANDMEMBER have in common, and what may be asked for.

use super::{Args, CommandError};
use crate::resp::Reply;

/// So many elements are drawn with repeats, whatever there is to draw from. Redis: any number, until memory is gone.
const REPEATS_MAX: u64 = 1 << 26;
/// So many bytes of them are shown.
const REPEATS_MAX_BYTES: usize = 1 << 30;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// One, shown as itself.
    One,
    /// So many different ones, as far as there are.
    Different(usize),
    /// So many, each drawn from all.
    Repeated(u64),
}

impl Wanted {
    fn of(count: i64) -> Result<Wanted, CommandError> {
        if count == i64::MIN {
            return Err(CommandError::Line(
                "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            ));
        }
        if count < 0 {
            return Ok(Wanted::Repeated(count.unsigned_abs()));
        }
        Ok(Wanted::Different(usize::try_from(count).unwrap_or(usize::MAX)))
    }

    /// `[count]`
    pub fn take(args: &mut Args<'_>) -> Result<Wanted, CommandError> {
        if args.is_done() {
            return Ok(Wanted::One);
        }
        let mut count = *args;
        args.take()?;
        args.finish()?;
        Wanted::of(count.int()?)
    }

    /// `[count [word]]`; is the word there?
    pub fn take_with(args: &mut Args<'_>, word: &str) -> Result<(Wanted, bool), CommandError> {
        if args.is_done() {
            return Ok((Wanted::One, false));
        }
        let count = args.int()?;
        let wanted = Wanted::of(count)?;
        if args.is_done() {
            return Ok((wanted, false));
        }
        if args.left() > 1 || !args.token(word) {
            return Err(CommandError::Syntax);
        }
        // Redis: twice the count is a number too.
        if !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
            return Err(CommandError::OutOfRange);
        }
        Ok((wanted, true))
    }
}

/// Refuses more repeats than are shown to anybody.
pub fn check_repeats(count: u64) -> Result<usize, CommandError> {
    if count > REPEATS_MAX { Err(CommandError::OutOfRange) } else { Ok(count as usize) }
}

/// Shows an element `count` times, or as often as bytes allow: then it is an error, which takes back what was shown.
pub fn repeat(
    count: usize,
    reply: &mut Reply<'_>,
    show: impl FnMut(&mut Reply<'_>),
) -> Result<(), CommandError> {
    repeat_within(REPEATS_MAX_BYTES, count, reply, show)
}

fn repeat_within(
    max_bytes: usize,
    count: usize,
    reply: &mut Reply<'_>,
    mut show: impl FnMut(&mut Reply<'_>),
) -> Result<(), CommandError> {
    let begin = reply.out.bytes.len();
    for _ in 0..count {
        show(reply);
        if reply.out.bytes.len() - begin > max_bytes {
            return Err(CommandError::OutOfRange);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::{Output, Protocol};

    #[test]
    fn what_is_repeated_has_a_limit_in_bytes() {
        let mut out = Output::default();
        let mut reply = Reply::new(&mut out, Protocol::default());
        let mut shown = 0;
        let mut show = |reply: &mut Reply<'_>| {
            shown += 1;
            reply.bulk(&[b'x'; 100]);
        };
        assert!(repeat_within(10_000, 90, &mut reply, &mut show).is_ok());
        assert!(repeat_within(10_000, 1 << 26, &mut reply, &mut show).is_err());
        assert!(shown < 200, "it ends when the limit is passed");
    }
}
