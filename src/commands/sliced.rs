//! Commands that have much to do and do it in slices, so that the other clients of their shard do not wait for them.
//!
//! A handler that finds that it would touch more than [`SLICES_ABOVE`](crate::shard::pins::SLICES_ABOVE) elements of one big value says so: it pins the
//! value and answers [`Outcome::Slices`](super::Outcome::Slices). The core keeps the command's intents
//! registered meanwhile (`net/sliced.rs`), so nobody changes what it reads and it is as atomic as any other. Where nothing
//! can wait (EXEC, scripts, what is repeated from a log) it runs to its end at once.
//!
//! Work of the one kind ([`Sliced`]) reads pinned values, of one key or of several; what it writes it writes at its end, in
//! one step. Work of the other ([`Changing`]) takes elements out of one value, a part in every step. Nobody sees it half
//! done: its intents keep commands from the key, a snapshot begins before it or after it (`net/sliced.rs`), and its effects
//! come at its end.

use std::fmt;

use smallvec::SmallVec;

use super::context::{ClientView, Ctx};
use super::error::CommandError;
use super::part::Part;
use crate::resp::{Output, Protocol, Referred, Reply};
use crate::shard::pins::Pin;
use crate::shard::{Shard, ValueView};
use crate::types::{Collection, DbIndex, Value};

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

/// The values of a command, in the order in which they were pinned.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    shard: &'a Shard,
    pins: &'a [Pin],
}

impl<'a> Values<'a> {
    /// The first.
    pub fn first(self) -> Result<&'a Value, CommandError> {
        self.shard.pinned(self.pins.first().ok_or(LOST)?).ok_or(LOST)
    }

    /// All, in the order of their pins. An error when one of them is gone.
    pub fn all(self) -> Result<SmallVec<[&'a Value; 8]>, CommandError> {
        self.pins.iter().map(|pin| self.shard.pinned(pin).ok_or(LOST)).collect()
    }
}

/// The work of one command. The values do not change from step to step.
pub trait Sliced: Send {
    /// Goes on for about so many elements.
    fn step(
        &mut self,
        values: Values<'_>,
        elements: usize,
        reply: &mut Reply<'_>,
    ) -> Result<Step, CommandError>;

    /// What is left to do when all steps are done. The part is a hop's; a whole command has none.
    fn finish(&mut self, _: &mut Ctx<'_>, _: &mut Reply<'_>) -> Result<Part, CommandError> {
        Ok(Part::Nothing)
    }

    /// Writes what goes before all that the steps have written: how many elements that are, when only the end tells.
    fn head(&self, _: &mut Reply<'_>) {}
}

/// The work of one command that takes elements out of a value.
pub trait Changing: Send {
    /// Goes on for about so many elements.
    fn step(&mut self, value: &mut Value, elements: usize, reply: &mut Reply<'_>) -> Step;

    /// Says what was changed, through the key's door: its key may be gone by now. The reply.
    fn finish(&mut self, ctx: &mut Ctx<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError>;
}

enum Work {
    Reads(Box<dyn Sliced>),
    Changes(Box<dyn Changing>),
}

/// A command under way.
pub struct Slices {
    pins: Vec<Pin>,
    work: Work,
    /// What was written lately.
    fresh: Output,
    /// What was written before: pieces of moderate size, because one big one would be copied whenever it grows.
    written: Output,
}

impl fmt::Debug for Slices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slices").field("pins", &self.pins).finish_non_exhaustive()
    }
}

impl Slices {
    /// Work that reads the pinned values.
    pub fn new(pins: Vec<Pin>, work: impl Sliced + 'static) -> Box<Slices> {
        Slices::of(pins, Work::Reads(Box::new(work)))
    }

    fn of(pins: Vec<Pin>, work: Work) -> Box<Slices> {
        Box::new(Slices { pins, work, fresh: Output::default(), written: Output::default() })
    }

    /// Does it change the value from step to step?
    pub fn changes(&self) -> bool {
        matches!(self.work, Work::Changes(_))
    }

    /// One step.
    pub fn step(
        &mut self,
        shard: &mut Shard,
        protocol: Protocol,
        elements: usize,
    ) -> Result<Step, CommandError> {
        let mut reply = Reply::new(&mut self.fresh, protocol);
        let step = match &mut self.work {
            Work::Reads(work) => work.step(Values { shard, pins: &self.pins }, elements, &mut reply),
            Work::Changes(work) => {
                let pin = self.pins.first().ok_or(LOST)?;
                shard.change_pinned(pin, |value| work.step(value, elements, &mut reply)).ok_or(LOST)
            }
        };
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
        let mut output = Output::default();
        let result = result.and_then(|()| {
            let mut reply = Reply::new(&mut self.fresh, client.protocol);
            match &mut self.work {
                Work::Reads(work) => {
                    let part = work.finish(&mut ctx, &mut reply);
                    work.head(&mut Reply::new(&mut output, client.protocol));
                    part
                }
                Work::Changes(work) => work.finish(&mut ctx, &mut reply).map(|()| Part::Nothing),
            }
        });
        self.give_up(shard);
        match (&result, self.written.is_empty()) {
            (Err(_), _) => return (result, Output::default()),
            (Ok(_), true) => output.append(&mut self.fresh),
            (Ok(_), false) => {
                self.put_aside();
                output.append(&mut self.written);
            }
        }
        (result, output)
    }

    /// Has a key gone (it expired, or was evicted) while its value was read?
    pub fn is_of_gone_key(&self, shard: &Shard) -> bool {
        self.pins.iter().any(|pin| shard.is_gone(pin))
    }

    /// The client has left: nobody wants the rest.
    pub fn give_up(&self, shard: &mut Shard) {
        self.pins.iter().for_each(|pin| shard.unpin(pin));
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

    /// Looks at a collection that is not small, of a command that is about to change it. `None` for all others.
    pub fn of_big<C: Collection, R>(&mut self, key: &[u8], look: impl FnOnce(&C) -> R) -> Option<R> {
        match self.keys().find_to_write(key)?.value() {
            ValueView::Heap(value) => C::of(value).map(look),
            _ => None,
        }
    }

    /// Goes on in slices with the big value under a key of the selected database, which was looked up.
    pub fn in_slices(
        &mut self,
        key: &[u8],
        work: impl Sliced + 'static,
    ) -> Result<super::Outcome, CommandError> {
        self.in_slices_over(&[key], work)
    }

    /// The same with the big values under several keys.
    pub fn in_slices_over(
        &mut self,
        keys: &[&[u8]],
        work: impl Sliced + 'static,
    ) -> Result<super::Outcome, CommandError> {
        let pins = self.pin_all(keys)?;
        Ok(super::Outcome::Slices(Slices::new(pins, work)))
    }

    /// Goes on in slices that change the big value under a key, which was looked up.
    pub fn change_in_slices(
        &mut self,
        key: &[u8],
        work: impl Changing + 'static,
    ) -> Result<super::Outcome, CommandError> {
        let pins = vec![self.shard.pin_to_change(self.db, key).ok_or(LOST)?];
        Ok(super::Outcome::Slices(Slices::of(pins, Work::Changes(Box::new(work)))))
    }

    fn pin_all(&mut self, keys: &[&[u8]]) -> Result<Vec<Pin>, CommandError> {
        let mut pins = Vec::with_capacity(keys.len());
        for key in keys {
            match self.shard.pin(self.db, key) {
                Some(pin) => pins.push(pin),
                None => {
                    pins.iter().for_each(|pin| self.shard.unpin(pin));
                    return Err(LOST);
                }
            }
        }
        Ok(pins)
    }
}
