//! HRANDFIELD.
//!
//! A negative count draws every field anew, so that one may come several times. A positive one draws different fields:
//! all of them when that is enough; by walking over them, each chosen with the chance that leaves the rest to be chosen
//! from what follows ([`Selection`]), when a good part is wanted or a draw is no cheaper; else by drawing until there are
//! enough different ones.

use std::collections::HashSet;

use super::{read, reply_text};
use crate::commands::draw::{Wanted, check_repeats, repeat};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::{Protocol, Reply};
use crate::types::draw::{Selection, below};
use crate::types::hash::{HashView, Text};

/// Redis: drawing pays when the hash has more than three times as many fields as are wanted.
const DRAWING_FACTOR: usize = 3;

pub fn hrandfield(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, due_ms) = (args.take()?, ctx.due_ms());
    let (wanted, with_values) = Wanted::take_with(args, "withvalues")?;
    let mut rng = ctx.shard.rng.fork();
    let random = &mut || rng.u64(..);
    let mut keys = ctx.keys();
    let hash = read(&mut keys, key)?;
    if wanted == Wanted::One {
        let drawn = hash.and_then(|hash| hash.random(due_ms, random));
        super::reply_optional(drawn.map(|(field, _)| field), reply);
        return Ok(Outcome::Done);
    }
    let live = hash.map_or(0, |hash| hash.live_len(due_ms));
    let (Some(hash), 1..) = (hash, live) else {
        reply.array(0);
        return Ok(Outcome::Done);
    };
    let draw = Draw { hash, due_ms, live, with_values };
    match wanted {
        Wanted::Repeated(count) => draw.with_repeats(check_repeats(count)?, random, reply)?,
        Wanted::Different(count) => draw.different(count.min(live), random, reply),
        Wanted::One => {}
    }
    Ok(Outcome::Done)
}

/// Fields that are there, to be drawn from.
struct Draw<'a> {
    hash: HashView<'a>,
    due_ms: u64,
    live: usize,
    with_values: bool,
}

impl<'a> Draw<'a> {
    /// Redis: pairs are arrays of their own in RESP3, and flat in RESP2.
    fn header(&self, count: usize, reply: &mut Reply<'_>) {
        let is_flat = self.with_values && reply.protocol == Protocol::Resp2;
        reply.array(if is_flat { count * 2 } else { count });
    }

    fn show(&self, (field, value): (Text<'a>, Text<'a>), reply: &mut Reply<'_>) {
        if self.with_values && reply.protocol == Protocol::Resp3 {
            reply.array(2);
        }
        reply_text(field, reply);
        if self.with_values {
            reply_text(value, reply);
        }
    }

    /// Is a draw cheap? It is a walk where there is no table, or where fields are in it whose time has come.
    fn is_drawn_from(&self) -> bool {
        self.hash.is_big() && !self.hash.may_have_due(self.due_ms)
    }

    fn with_repeats(
        &self,
        count: usize,
        random: &mut dyn FnMut() -> u64,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        self.header(count, reply);
        if self.is_drawn_from() && count < self.live {
            return repeat(count, reply, |reply| {
                self.show(self.hash.random(self.due_ms, random).expect("a field is live"), reply);
            });
        }
        let mut all = Vec::with_capacity(self.live);
        self.hash.for_each(self.due_ms, |field, value, _| all.push((field, value)));
        repeat(count, reply, |reply| self.show(all[below(random(), all.len())], reply))
    }

    fn different(&self, count: usize, random: &mut dyn FnMut() -> u64, reply: &mut Reply<'_>) {
        self.header(count, reply);
        if !self.is_drawn_from() || count.saturating_mul(DRAWING_FACTOR) > self.live {
            let mut selection = Selection::new(count, self.live);
            return self.hash.for_each(self.due_ms, |field, value, _| {
                if selection.takes(random()) {
                    self.show((field, value), reply);
                }
            });
        }
        let mut drawn = HashSet::with_capacity_and_hasher(count, ahash::RandomState::with_seed(0));
        while drawn.len() < count {
            let (field, value) = self.hash.random(self.due_ms, random).expect("a field is live");
            let Text::Bytes(name) = field else { unreachable!("a table's fields are bytes") };
            if drawn.insert(name.as_ptr()) {
                self.show((field, value), reply);
            }
        }
    }
}
