//! Commands that have much to do and do it in slices, so that the other clients of their shard do not wait for them.
//!
//! A handler that finds that it would touch more than [`SLICES_ABOVE`](crate::shard::pins::SLICES_ABOVE) elements of one big value says so: it pins the
//! value and answers [`Outcome::Slices`](super::Outcome::Slices). The core keeps the command's intents
//! registered meanwhile (`net/sliced.rs`), so nobody changes what it reads and it is as atomic as any other. Where nothing
//! can wait (EXEC, scripts, what is repeated from a log) it runs to its end at once.
//!
//! The work reads the pinned value alone; what it writes it writes at its end, in one step.

use std::fmt;

use super::context::{ClientView, Ctx};
use super::error::CommandError;
use super::part::Part;
use crate::resp::{Output, Protocol, Referred, Reply};
use crate::shard::Shard;
use crate::shard::pins::Pin;
use crate::types::{DbIndex, Value};

/// About how many elements a step touches. A slice is as many steps as its time allows.
pub const STEP_ELEMENTS: usize = 256;
/// A step ends when it has written so much.
const STEP_BYTES: usize = 64 * 1024;

const LOST: CommandError = CommandError::Line("ERR the key was dropped with its database while it was read");

/// Is there more to do?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    More,
    Done,
}

/// The work of one command. The value does not change from step to step.
pub trait Sliced: Send {
    /// Goes on for about so many elements.
    fn step(&mut self, value: &Value, elements: usize, reply: &mut Reply<'_>) -> Result<Step, CommandError>;

    /// What is left to do when all steps are done. The part is a hop's; a whole command has none.
    fn finish(&mut self, _: &mut Ctx<'_>, _: &mut Reply<'_>) -> Result<Part, CommandError> {
        Ok(Part::Nothing)
    }
}

/// A command under way.
pub struct Slices {
    pin: Pin,
    work: Box<dyn Sliced>,
    /// What was written lately.
    fresh: Output,
    /// What was written before: pieces of moderate size, because one big one would be copied whenever it grows.
    written: Output,
}

impl fmt::Debug for Slices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slices").field("pin", &self.pin).finish_non_exhaustive()
    }
}

impl Slices {
    pub fn new(pin: Pin, work: impl Sliced + 'static) -> Box<Slices> {
        Box::new(Slices { pin, work: Box::new(work), fresh: Output::default(), written: Output::default() })
    }

    /// One step.
    pub fn step(&mut self, shard: &Shard, protocol: Protocol, elements: usize) -> Result<Step, CommandError> {
        let value = shard.pinned(&self.pin).ok_or(LOST)?;
        let step = self.work.step(value, elements, &mut Reply::new(&mut self.fresh, protocol));
        if self.fresh.bytes.len() >= STEP_BYTES {
            self.put_aside();
        }
        step
    }

    /// The end: to be called once, when the last step is done or has failed. Only now is the value free.
    pub fn finish(
        mut self,
        shard: &mut Shard,
        db: DbIndex,
        client: ClientView,
        result: Result<(), CommandError>,
    ) -> (Result<Part, CommandError>, Output) {
        let mut ctx = Ctx { shard, db, client };
        let result = result
            .and_then(|()| self.work.finish(&mut ctx, &mut Reply::new(&mut self.fresh, client.protocol)));
        self.give_up(shard);
        let output = match (&result, self.written.is_empty()) {
            (Err(_), _) => Output::default(),
            (Ok(_), true) => std::mem::take(&mut self.fresh),
            (Ok(_), false) => {
                self.put_aside();
                std::mem::take(&mut self.written)
            }
        };
        (result, output)
    }

    /// The client has left: nobody wants the rest.
    pub fn give_up(&self, shard: &mut Shard) {
        shard.unpin(&self.pin);
    }

    /// All of it now.
    pub fn run_to_end(
        mut self,
        shard: &mut Shard,
        db: DbIndex,
        client: ClientView,
    ) -> (Result<Part, CommandError>, Output) {
        let result = loop {
            match self.step(shard, client.protocol, usize::MAX) {
                Ok(Step::More) => {}
                Ok(Step::Done) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.finish(shard, db, client, result)
    }

    fn put_aside(&mut self) {
        let Output { bytes, shared } = std::mem::take(&mut self.fresh);
        let bytes = std::sync::Arc::new(bytes);
        let mut from = 0;
        let mut put = |value, range: std::ops::Range<usize>| {
            if !range.is_empty() {
                self.written.shared.push((0, value, range));
            }
        };
        for (at, value, range) in shared {
            put(Referred::Value(bytes.clone()), from..at);
            put(value, range);
            from = at;
        }
        let end = bytes.len();
        put(Referred::Value(bytes), from..end);
    }
}

/// Has a step written enough?
#[inline]
pub fn is_full(reply: &Reply<'_>) -> bool {
    reply.out.bytes.len() >= STEP_BYTES
}

impl Ctx<'_> {
    /// Does a command do better to touch so many elements in slices?
    #[inline]
    pub fn is_much(&self, elements: usize) -> bool {
        elements > self.shard.settings.slices_above
    }

    /// Goes on in slices with the big value under a key of the selected database, which was looked up.
    pub fn in_slices(
        &mut self,
        key: &[u8],
        work: impl Sliced + 'static,
    ) -> Result<super::Outcome, CommandError> {
        let pin = self.shard.pin(self.db, key).ok_or(LOST)?;
        Ok(super::Outcome::Slices(Slices::new(pin, work)))
    }
}
