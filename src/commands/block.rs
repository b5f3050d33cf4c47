//! Waiting for keys: what a command says when there is nothing for it yet (BLPOP, BZPOPMIN, XREAD BLOCK ...).
//!
//! A handler never waits. It looks, and when there is nothing it answers [`Outcome::Block`](super::Outcome::Block). The
//! core keeps the request (`net/blocked.rs`) and runs it again when an effect has touched one of its keys. Inside a
//! transaction nothing waits: the same answer becomes the reply of a timeout.

use super::context::Ctx;
use super::error::CommandError;
use crate::resp::{Argv, Reply, Request};
use crate::types::Kind;
use crate::types::number::parse_f64;

/// The same request for the key with this order alone.
pub type NarrowFn = fn(Argv<'_>, usize) -> Request;

/// What somebody is told who waits for the key with this order, if that key can serve nobody any more.
pub type LossFn = fn(&mut Ctx<'_>, Argv<'_>, usize) -> Option<CommandError>;

/// Which of its keys a command waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitFor {
    Every,
    /// The first (the source of BLMOVE).
    First,
}

/// What is answered where nothing can be waited for, as in a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenOver {
    Null,
    NullArray,
}

/// How a command waits.
#[derive(Clone, Debug)]
pub struct Block {
    pub wait_for: WaitFor,
    /// Only a value of this kind can serve it.
    pub kind: Kind,
    /// It also wants to know when its key goes away or changes its kind (XREADGROUP): what it is told then.
    pub on_loss: Option<LossFn>,
    /// 0: for ever.
    pub timeout_ms: u64,
    pub when_over: WhenOver,
    /// What runs again, if not the request as it was sent (XREAD with `$` resolved).
    pub request: Option<Request>,
    /// How a command with several keys is served by one of them. Without it the whole command runs again, as a
    /// transaction when its keys live on several shards.
    pub narrow: Option<NarrowFn>,
}

impl WhenOver {
    /// Writes the reply.
    pub fn write(self, reply: &mut Reply<'_>) {
        match self {
            WhenOver::Null => reply.null(),
            WhenOver::NullArray => reply.null_array(),
        }
    }
}

/// A timeout in seconds, with a fraction, as BLPOP takes it; in milliseconds, 0 for none.
///
/// Redis: what is not zero is at least a millisecond.
pub fn timeout_of_seconds(argument: &[u8]) -> Result<u64, CommandError> {
    let seconds = parse_f64(argument)
        .filter(|seconds| !seconds.is_nan())
        .ok_or(CommandError::Line("ERR timeout is not a float or out of range"))?;
    let ms = (seconds * 1000.0).ceil();
    // Redis 7.0: what is too much overflows, and is told to be negative.
    if !(0.0..i64::MAX as f64).contains(&ms) {
        return Err(CommandError::Line("ERR timeout is negative"));
    }
    Ok(ms as u64)
}

/// A timeout in milliseconds, as XREAD takes it; 0 for none.
pub fn timeout_of_ms(argument: &[u8]) -> Result<u64, CommandError> {
    let ms = crate::types::number::parse_i64(argument)
        .ok_or(CommandError::Line("ERR timeout is not an integer or out of range"))?;
    u64::try_from(ms).map_err(|_| CommandError::Line("ERR timeout is negative"))
}
