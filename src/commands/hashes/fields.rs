//! `FIELDS numfields field ...`, and times: what the commands on fields' deadlines share.

use crate::commands::{Args, CommandError};
use crate::types::number::parse_i64;

/// Redis: later deadlines than this are refused, so that sums of two never overflow 48 bits.
const DEADLINE_MAX_MS: i64 = ((1 << 48) - 1) >> 2;

pub const NOT_POSITIVE: CommandError = CommandError::Line("ERR Number of fields must be a positive integer");
const NO_FIELDS: CommandError =
    CommandError::Line("ERR Mandatory argument FIELDS is missing or not at the right position");
const MISMATCH: CommandError =
    CommandError::Line("ERR The `numfields` parameter must match the number of arguments");

/// Reads `FIELDS numfields`; exactly the fields are left then. `not_positive` is what a count below 1 is answered.
pub fn take_fields(args: &mut Args<'_>, not_positive: CommandError) -> Result<(), CommandError> {
    if !args.token("FIELDS") || args.is_done() {
        return Err(NO_FIELDS);
    }
    let count = args.take().ok().and_then(parse_i64).filter(|count| *count > 0).ok_or(not_positive)?;
    if count as u64 != args.left() as u64 {
        return Err(MISMATCH);
    }
    Ok(())
}

/// In which unit and from when on a time is told.
#[derive(Clone, Copy)]
pub struct Clock {
    pub seconds: bool,
    /// Now for relative times, else 0.
    pub base_ms: u64,
}

impl Clock {
    /// The clock of an option EX, PX, EXAT or PXAT.
    pub fn of_option(word: &[u8], now_ms: u64) -> Option<Clock> {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let (seconds, relative) = match () {
            _ if is("EX") => (true, true),
            _ if is("PX") => (false, true),
            _ if is("EXAT") => (true, false),
            _ if is("PXAT") => (false, false),
            _ => return None,
        };
        Some(Clock { seconds, base_ms: if relative { now_ms } else { 0 } })
    }

    /// The deadline that a number means.
    pub fn deadline(self, number: &[u8], command: &'static str) -> Result<u64, CommandError> {
        let number = parse_i64(number).ok_or(CommandError::NotInteger)?;
        if number < 0 {
            return Err(CommandError::Line("ERR invalid expire time, must be >= 0"));
        }
        let ms = if self.seconds { number.checked_mul(1000) } else { Some(number) };
        ms.and_then(|ms| ms.checked_add(self.base_ms as i64))
            .filter(|ms| *ms <= DEADLINE_MAX_MS)
            .map(|ms| ms as u64)
            .ok_or(CommandError::InvalidExpire(command))
    }

    /// How a deadline is told. Redis: seconds are rounded up.
    pub fn tell(self, expire_at_ms: u64) -> i64 {
        let ms = expire_at_ms as i64 - self.base_ms as i64;
        if self.seconds { (ms + 999) / 1000 } else { ms }
    }
}
